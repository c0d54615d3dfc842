// The options of the bridge driver (`docker network create -o`). Pure.

import { DaemonError } from '../errors';
import { goBoolProblem, parseGoBool } from '../go/bool';
import { goQuote } from '../go/quote';
import { parseAddress } from './addresses/addresses';
import type { NetworkRecord } from './network-record';

export const bridgeNameOption = 'com.docker.network.bridge.name';
/** IFNAMSIZ without its final zero. */
const longestDeviceName = 15;

export type BridgeOptions = Pick<
  NetworkRecord,
  'mtu' | 'interContainer' | 'masquerade' | 'hostBindingAddress'
>;

/** Throws Docker's error for one that cannot be read. */
export function bridgeOptions(options: Record<string, string>): BridgeOptions {
  const hostBindingAddress = addressOf(options, 'com.docker.network.bridge.host_binding_ipv4', '0.0.0.0');
  // Without effect here; what cannot be read is refused, as by dockerd.
  addressOf(options, 'com.docker.network.host_ipv4', '');
  flag(options, 'com.docker.network.bridge.inhibit_ipv4');
  if ((options[bridgeNameOption] ?? '').length > longestDeviceName) {
    throw new DaemonError(
      'Internal',
      'failed to check bridge interface existence: numerical result out of range',
    );
  }
  return {
    mtu: mtuOf(options['com.docker.network.driver.mtu']),
    interContainer: flag(options, 'com.docker.network.bridge.enable_icc'),
    masquerade: flag(options, 'com.docker.network.bridge.enable_ip_masquerade'),
    hostBindingAddress,
  };
}

function mtuOf(text: string | undefined): number {
  if (text === undefined || text === '' || text === '0') return 1500;
  const mtu = Number(text);
  if (!/^[+-]?\d+$/.test(text)) {
    throw new DaemonError(
      'Internal',
      `failed to parse com.docker.network.driver.mtu value: ${text} (strconv.Atoi: parsing ${goQuote(text)}: invalid syntax)`,
    );
  }
  if (mtu < 0) throw new DaemonError('Internal', `invalid MTU number: ${mtu}`);
  // below 1280 there is no IPv6; above, virtio-net and the bridge have no more
  if (mtu < 68 || mtu > 65535) throw new DaemonError('Internal', `invalid MTU: ${text}`);
  return mtu;
}

function flag(options: Record<string, string>, name: string): boolean {
  const text = options[name];
  if (text === undefined) return true;
  const value = parseGoBool(text);
  if (value !== undefined) return value;
  throw new DaemonError('Internal', `failed to parse ${name} value: ${text} (${goBoolProblem(text)})`);
}

function addressOf(options: Record<string, string>, name: string, ifAbsent: string): string {
  const text = options[name];
  if (text === undefined) return ifAbsent;
  if (parseAddress(text) !== undefined) return text;
  throw new DaemonError('Internal', `failed to parse ${name} value: ${text} (nil ip)`);
}

/** The options that say how the host's devices and addresses are named: here all of that is in a namespace of the engine's own. */
const withoutEffect = [
  bridgeNameOption,
  'com.docker.network.bridge.inhibit_ipv4',
  'com.docker.network.container_iface_prefix',
  'com.docker.network.host_ipv4',
];

/** A warning of options that are kept and shown, and change nothing; empty if there are none. */
export function warningOf(options: Record<string, string>): string {
  const given = withoutEffect.filter((name) => (options[name] ?? '') !== '');
  return given.length === 0 ? '' : `Options without effect on this engine: ${given.join(', ')}`;
}
