// /proc/net/dev of the private namespace, turned round: what a tap sent, its container received.

import type { InterfaceCounters } from './network';

/** Undefined if the text has no such device. */
export function parseCounters(text: string, tapName: string): InterfaceCounters | undefined {
  const line = text.split('\n').find((candidate) => candidate.trimStart().startsWith(`${tapName}:`));
  if (line === undefined) return undefined;
  const values = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  // receive: bytes packets errs drop fifo frame compressed multicast; then transmit: bytes packets errs drop …
  const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = values;
  const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0] = values.slice(8);
  return { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped };
}
