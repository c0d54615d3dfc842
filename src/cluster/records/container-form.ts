// A container's record as an object: what was asked for is its spec, what came of it its status.

import { createHash } from 'node:crypto';
import { statusMembers, type ClusterRecord } from '../contract/cluster-record';
import type { RecordForm } from './custom-records';

export const containerIdLabel = 'caisson.io/id';

/** A label's value has 63 characters at most. */
export function idLabelValue(id: string): string {
  return id.slice(0, 63);
}

/** Of a container's name: another with this name is refused by the API itself. */
export function containerObjectName(name: string): string {
  return `container-${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
}

export const containerForm: RecordForm<ClusterRecord> = {
  encode(record) {
    const isStatus = (key: string): boolean => (statusMembers as readonly string[]).includes(key);
    const entries = Object.entries(record);
    return {
      spec: Object.fromEntries(entries.filter(([key]) => !isStatus(key))),
      status: Object.fromEntries(entries.filter(([key]) => isStatus(key))),
      labels: { [containerIdLabel]: idLabelValue(record.id) },
    };
  },
  decode: ({ spec, status }) =>
    // as it was encoded; only who may write the namespace could have put another
    ({ ...(spec as object), ...(status as object) }) as ClusterRecord,
};
