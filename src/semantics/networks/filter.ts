// The filters of `docker network ls`.

import type { Filters } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import type { NetworkDetails } from '../../network/network';
import { matchLabels, matchPattern, matchValue, validateFilters } from '../filters/filters';

const acceptedFilters = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
/** Those that no user makes. */
export const predefinedNetworks: readonly string[] = ['bridge', 'host', 'none'];

/** Docker's `dangling` is true of every network that a user made: it does not look for containers here. */
export function networkFilter(filters: Filters): (details: NetworkDetails) => boolean {
  validateFilters(filters, acceptedFilters);
  const dangling = danglingFilter(filters.get('dangling'));
  const types = filters.get('type');
  const unknown = types?.find((type) => type !== 'builtin' && type !== 'custom');
  if (unknown !== undefined) throw new DaemonError('Internal', `invalid filter: 'type'='${unknown}'`);
  return ({ id, name, driver, labels }) => {
    const builtin = predefinedNetworks.includes(name);
    if (dangling !== undefined && dangling === builtin) return false;
    if (types !== undefined && !types.includes(builtin ? 'builtin' : 'custom')) return false;
    return (
      matchValue(filters, 'driver', driver) &&
      matchPattern(filters, 'name', name) &&
      matchPattern(filters, 'id', id) &&
      matchValue(filters, 'scope', 'local') &&
      matchLabels(filters.get('label'), labels)
    );
  };
}

function danglingFilter(values: readonly string[] | undefined): boolean | undefined {
  if (values === undefined || values.length === 0) return undefined;
  if (values.length > 1) {
    throw new DaemonError('InvalidParameter', 'got more than one value for filter key "dangling"');
  }
  if (values.includes('true') || values.includes('1')) return true;
  if (values.includes('false') || values.includes('0')) return false;
  throw new DaemonError(
    'InvalidParameter',
    'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
  );
}
