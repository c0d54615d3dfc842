// Each status of each operation has a case that compares it with dockerd's, or a reason why there is none: those that Docker
// documents, and those that the comment of the operation's handler names.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { containerStatuses } from '../../compat/statuses/containers';
import { imageStatuses } from '../../compat/statuses/images';
import { networkStatuses, systemStatuses, volumeStatuses } from '../../compat/statuses/others';
import { isUnseen, type StatusTable } from '../../compat/statuses/steps';
import { pluginStatuses, swarmStatuses } from '../../compat/statuses/swarm';
import { operations } from '../api/v1.41/operations';

const table: StatusTable = {
  ...containerStatuses,
  ...imageStatuses,
  ...networkStatuses,
  ...volumeStatuses,
  ...systemStatuses,
};
/** Of these only one status can be seen: they need a swarm or a plugin for the others. */
const absentGroups: StatusTable = { ...swarmStatuses, ...pluginStatuses };

test('every operation has its statuses', () => {
  const known = { ...table, ...absentGroups };
  expect(operations.filter(([id]) => !(id in known)).map(([id]) => id)).toEqual([]);
  expect(Object.keys(known).filter((id) => !operations.some(([operation]) => operation === id))).toEqual([]);
});

test.each(operations.filter(([id]) => id in table))(
  '%s: each documented status',
  (id, _m, _p, documented) => {
    expect(documented.filter((status) => table[id]?.[status] === undefined)).toEqual([]);
  },
);

test.each(Object.entries(swarmStatuses))('%s: 503, or why not', (_id, statuses) => {
  expect(statuses[503]).toBeDefined();
});

test.each(Object.entries(declaredStatuses()))('%s: each status that its handler declares', (id, declared) => {
  expect(declared.filter((status) => table[id]?.[status] === undefined)).toEqual([]);
});

test('what cannot be seen has a reason', () => {
  const reasons = Object.values(table).flatMap((statuses) => Object.values(statuses).filter(isUnseen));
  expect(reasons.filter(({ unseen }) => unseen.length < 20)).toEqual([]);
});

/** `// ContainerStart: 204 | 304 already started | 404` above a route. */
function declaredStatuses(): Record<string, number[]> {
  const routes = join(__dirname, '../../../src/api/v1.41');
  const sources = readdirSync(routes)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(routes, name), 'utf8'));
  const declared: Record<string, number[]> = {};
  for (const [, id = '', list = ''] of sources
    .join('\n')
    .matchAll(/^ *\/\/ (\w+): (\d{3}\b.*(?:\n *\/\/.*)*)/gm)) {
    if (!(id in table)) continue;
    declared[id] = list
      .split('|')
      .map((part) => Number(/^\s*(\d{3})\b/.exec(part)?.[1]))
      .filter((status) => status >= 100 && status !== 501);
  }
  return declared;
}
