// Ports that a container asks to have published.

import type { PublishedPort } from '../../network/network';
import type { ContainerRecord } from '../containers/container-record';

/** Ports that `-p` and `-P` ask for. */
export function wantedPorts(record: ContainerRecord): PublishedPort[] {
  const { PortBindings, PublishAllPorts, NetworkMode } = record.hostConfig;
  if (NetworkMode === 'host' || NetworkMode === 'none' || NetworkMode.startsWith('container:')) return [];
  const ports: PublishedPort[] = [];
  for (const [port, bindings] of Object.entries(PortBindings ?? {})) {
    for (const binding of bindings ?? []) {
      ports.push({
        ...containerPort(port),
        hostIp: binding.HostIp ?? '',
        ...hostPorts(binding.HostPort ?? ''),
      });
    }
  }
  if (PublishAllPorts) {
    for (const port of Object.keys(record.config.ExposedPorts ?? {})) {
      if (PortBindings?.[port] !== undefined) continue;
      ports.push({ ...containerPort(port), hostIp: '', hostPort: 0 });
    }
  }
  return ports;
}

/** A number, a range of which the first free one is taken, or nothing for any. */
function hostPorts(text: string): Pick<PublishedPort, 'hostPort' | 'hostPortEnd'> {
  const [first = '', last] = text.split('-');
  return { hostPort: Number(first), ...(last === undefined ? {} : { hostPortEnd: Number(last) }) };
}

function containerPort(port: string): Pick<PublishedPort, 'protocol' | 'containerPort'> {
  const [number = '0', protocol = 'tcp'] = port.toLowerCase().split('/');
  return {
    protocol: protocol === 'udp' || protocol === 'sctp' ? protocol : 'tcp',
    containerPort: Number(number.split('-')[0]),
  };
}
