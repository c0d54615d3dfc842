// Counters as a supervisor tells them, checked: it may be the container itself that does.

import type { ContainerStats } from '../../vm/contract/protocol';

const counters = {
  rxBytes: 'number',
  rxPackets: 'number',
  rxErrors: 'number',
  rxDropped: 'number',
  txBytes: 'number',
  txPackets: 'number',
  txErrors: 'number',
  txDropped: 'number',
} as const;
const device = {
  major: 'number',
  minor: 'number',
  readBytes: 'number',
  writeBytes: 'number',
  reads: 'number',
  writes: 'number',
} as const;
const cpu = {
  usageUsec: 'number',
  userUsec: 'number',
  systemUsec: 'number',
  throttledUsec: 'number',
  periods: 'number',
  throttled: 'number',
} as const;

function hasNumbers(value: unknown, names: object): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const members = new Map<string, unknown>(Object.entries(value));
  return Object.keys(names).every((name) => typeof members.get(name) === 'number');
}

function members(value: unknown): Map<string, unknown> {
  return new Map<string, unknown>(typeof value === 'object' && value !== null ? Object.entries(value) : []);
}

export function isRawStats(value: unknown): value is ContainerStats {
  const all = members(value);
  const io = all.get('io');
  const memory = all.get('memory');
  return (
    hasNumbers(value, { timeMs: 0, vmUsec: 0, onlineCpus: 0 }) &&
    hasNumbers(all.get('cpu'), cpu) &&
    hasNumbers(memory, { usageBytes: 0, maxUsageBytes: 0, limitBytes: 0 }) &&
    [...members(members(memory).get('stat')).values()].every((entry) => typeof entry === 'number') &&
    hasNumbers(all.get('pids'), { current: 0, limit: 0 }) &&
    Array.isArray(io) &&
    io.every((entry) => hasNumbers(entry, device)) &&
    [...members(all.get('networks')).values()].every((entry) => hasNumbers(entry, counters)) &&
    hasNumbers(all.get('disk'), { freeBytes: 0, totalBytes: 0 })
  );
}
