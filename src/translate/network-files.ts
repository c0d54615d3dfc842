// The files that Docker writes for a container's name resolution: /etc/hosts and /etc/hostname.

const defaultHosts = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

export interface HostsFileOptions {
  hostname: string;
  domainname: string;
  /** `name:address`, as in HostConfig.ExtraHosts. */
  extraHosts: readonly string[];
  /** What `host-gateway` stands for. */
  hostGateway: string;
  /** Containers that it is linked to. */
  links?: readonly { address: string; names: string }[];
  /** Addresses of the container, one for each endpoint. */
  addresses: readonly string[];
}

/** /etc/hosts, to the byte as Docker writes it. */
export function hostsFile(options: HostsFileOptions): string {
  const lines = [...defaultHosts];
  for (const entry of options.extraHosts) {
    const colon = entry.indexOf(':');
    const address = entry.slice(colon + 1);
    lines.push(`${address === 'host-gateway' ? options.hostGateway : address}\t${entry.slice(0, colon)}`);
  }
  for (const link of options.links ?? []) lines.push(`${link.address}\t${link.names}`);
  const names = hostNames(options.hostname, options.domainname);
  for (const address of options.addresses) lines.push(`${address}\t${names}`);
  return `${lines.join('\n')}\n`;
}

/** /etc/hostname. */
export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}

function hostNames(hostname: string, domainname: string): string {
  if (domainname !== '') return `${hostname}.${domainname} ${hostname}`;
  const dot = hostname.indexOf('.');
  return dot > 0 ? `${hostname} ${hostname.slice(0, dot)}` : hostname;
}
