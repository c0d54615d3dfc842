// Raw Ethernet frames as hexadecimal text, for tests that play a hostile guest.

import { parseAddress } from '../../../src/network/addresses/addresses';

type Bytes = readonly number[];

export const broadcast = 'ff:ff:ff:ff:ff:ff';

function mac(text: string): number[] {
  return text.split(':').map((byte) => parseInt(byte, 16));
}

function address(text: string): number[] {
  const parsed = parseAddress(text)!;
  const length = parsed.family === 4 ? 4 : 16;
  return Array.from({ length }, (_, index) =>
    Number((parsed.value >> BigInt(8 * (length - 1 - index))) & 255n),
  );
}

function word(value: number): number[] {
  return [(value >> 8) & 255, value & 255];
}

function checksum(bytes: Bytes): number[] {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return word(~sum & 0xffff);
}

/** `tags`: pairs of EtherType and VLAN id in front of `type`. */
export function ethernet(
  to: string,
  from: string,
  type: number,
  payload: Bytes,
  tags: [number, number][] = [],
): string {
  const vlan = tags.flatMap(([tagType, id]) => [...word(tagType), ...word(id)]);
  return Buffer.from([...mac(to), ...mac(from), ...vlan, ...word(type), ...payload]).toString('hex');
}

export function arp(
  operation: 1 | 2,
  senderMac: string,
  senderIp: string,
  targetMac: string,
  targetIp: string,
): Bytes {
  return [
    ...[0, 1, 8, 0, 6, 4, 0, operation],
    ...[...mac(senderMac), ...address(senderIp), ...mac(targetMac), ...address(targetIp)],
  ];
}

export function ipv4Udp(from: string, to: string, ports: [number, number], text: string): Bytes {
  const data = [...Buffer.from(text)];
  const udp = [...word(ports[0]), ...word(ports[1]), ...word(8 + data.length), 0, 0, ...data];
  const head = (sum: Bytes): number[] => [
    ...[0x45, 0, ...word(20 + udp.length), 0, 1, 0, 0, 64, 17, ...sum],
    ...[...address(from), ...address(to)],
  ];
  return [...head(checksum(head([0, 0]))), ...udp];
}

/** With a right checksum, so that it is the rules that stop it. */
export function ipv6(from: string, to: string, next: number, payload: Bytes, checksumAt: number): Bytes {
  const pseudo = [...address(from), ...address(to), 0, 0, ...word(payload.length), 0, 0, 0, next];
  const sum = checksum([...pseudo, ...payload]);
  const filled = payload.map((byte, index) =>
    index === checksumAt ? sum[0]! : index === checksumAt + 1 ? sum[1]! : byte,
  );
  return [0x60, 0, 0, 0, ...word(payload.length), next, 255, ...address(from), ...address(to), ...filled];
}

/** Neighbour advertisement or solicitation, with the option that goes with it. */
export function neighbour(type: 135 | 136, target: string, linkLayer: string): Bytes {
  const flags = type === 136 ? 0x60 : 0;
  return [type, 0, 0, 0, flags, 0, 0, 0, ...address(target), type === 136 ? 2 : 1, 1, ...mac(linkLayer)];
}

export function routerAdvertisement(linkLayer: string): Bytes {
  return [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...mac(linkLayer)];
}

export function udpOverIpv6(ports: [number, number], text: string): Bytes {
  const data = [...Buffer.from(text)];
  return [...word(ports[0]), ...word(ports[1]), ...word(8 + data.length), 0, 0, ...data];
}
