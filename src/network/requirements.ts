// What this host must offer for the networks, each tried in a namespace of its own that is gone afterwards.

import { execFile } from 'node:child_process';

import { helperEnvironment } from '../host/helper-environment';
import { fullRuleset } from './ruleset';

export interface NetworkRequirement {
  level: 'ok' | 'fail';
  /** The requirement, in a word or two. */
  subject: string;
  /** What was seen. */
  detail: string;
  /** What to do about it. */
  advice?: string;
}

interface Trial {
  subject: string;
  works: string;
  advice: string;
  program: string;
  args: string[];
  input?: string;
  /** In a new network namespace; also in a user namespace if the caller is not root. */
  inNamespace: boolean;
}

const sampleRules = fullRuleset({
  egressDevice: 'egress0',
  egressSubnet: '198.19.255.0/24',
  egressSubnet6: 'fd00::/64',
  egressNameServer: '198.19.255.3',
  egressHostLoopback: '198.19.255.2',
  egressHostLoopback6: 'fd00::2',
  hostLegDevice: 'host0',
  hostLegPool: '198.19.254.0/24',
  hostAddress: '192.0.2.1',
  bridges: [{ name: 'b', gateways: ['172.17.0.1', 'fd00::1'], egress: true }],
  taps: [{ name: 't', mac: '02:42:ac:11:00:02', ipv4: ['172.17.0.2'], ipv6: ['fd00::2'], onHost: true }],
});

const shell = (...commands: string[]): Pick<Trial, 'program' | 'args'> => ({
  program: 'sh',
  args: ['-ec', commands.join('\n')],
});

const trials: readonly Trial[] = [
  {
    subject: 'network namespace',
    works: 'can be made, and forwards',
    advice: 'run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)',
    ...shell('echo 1 >/proc/sys/net/ipv4/ip_forward'),
    inNamespace: true,
  },
  {
    subject: 'bridges',
    works: 'with static addresses and isolated ports',
    advice: 'modprobe bridge, or a kernel with CONFIG_BRIDGE',
    ...shell(
      'ip link add name bridge0 type bridge',
      'ip link add name tap0 type veth peer name guest0',
      'ip link set dev tap0 master bridge0',
      'ip link set dev tap0 type bridge_slave learning off isolated on',
      'bridge fdb replace 02:42:ac:11:00:02 dev tap0 master static',
    ),
    inNamespace: true,
  },
  {
    subject: 'taps',
    works: 'can be made',
    advice: 'modprobe tun; without root, /dev/net/tun must be writable (mode 0666)',
    ...shell('ip tuntap add dev tap0 mode tap'),
    inNamespace: true,
  },
  {
    subject: 'nftables',
    works: 'isolation, anti-spoofing and masquerading can be loaded',
    advice:
      'a kernel with nf_tables for the families inet and bridge (CONFIG_NF_TABLES_BRIDGE, CONFIG_NFT_NAT)',
    program: 'nft',
    args: ['-f', '-'],
    input: sampleRules,
    inNamespace: true,
  },
  {
    subject: 'egress',
    works: 'slirp4netns is there',
    advice: 'install slirp4netns',
    program: 'slirp4netns',
    args: ['--version'],
    inNamespace: false,
  },
];

/** Tries everything, in order. Nothing of the host's network is changed. For `caisson doctor`. */
export async function checkNetworkRequirements(): Promise<NetworkRequirement[]> {
  const results: NetworkRequirement[] = [];
  for (const trial of trials) {
    const failure = await attempt(trial);
    const { subject, works, advice } = trial;
    results.push(
      failure === undefined
        ? { level: 'ok', subject, detail: works }
        : { level: 'fail', subject, detail: failure, advice },
    );
  }
  return results;
}

function attempt({ program, args, input, inNamespace }: Trial): Promise<string | undefined> {
  const unshare = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
  const [file, fileArgs] = inNamespace ? ['unshare', [...unshare, '--', program, ...args]] : [program, args];
  return new Promise((resolve) => {
    const options = { timeout: 10_000, env: helperEnvironment() };
    const child = execFile(file, fileArgs, options, (error, _stdout, stderr) => {
      const said = stderr.trim().split('\n')[0] ?? '';
      resolve(error === null ? undefined : said === '' ? error.message : said);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
