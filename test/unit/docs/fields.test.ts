// Every member of the requests that make and change containers has its row in docs/compatibility.md, and a case that
// compares its effect with dockerd's.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { containerCreate, containerUpdate, execCreate, execStart } from '../../../src/docker/request-schemas';
import { hostConfig } from '../../../src/docker/host-config-schema';
import { createFields } from '../../../src/cluster/containers/create-fields';
import type { Schema } from '../../../src/go/json-schema';

const root = join(__dirname, '../../..');
const documentation = readFileSync(join(root, 'docs/compatibility.md'), 'utf8');

/** `ContainerCreate HostConfig.Memory`: members of the body, of HostConfig, and of what lies below NetworkingConfig. */
function fieldsOf(operation: string, schema: Schema, prefix = ''): string[] {
  if (schema.kind === 'map') return fieldsOf(operation, schema.of, prefix);
  if (schema.kind !== 'struct') return [];
  return [...schema.fields.values()].flatMap(({ name, schema: member }) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const opened = ['HostConfig', 'NetworkingConfig', 'NetworkingConfig.EndpointsConfig'].includes(path);
    return opened ? fieldsOf(operation, member, path) : [`${operation} ${path}`];
  });
}

/** HostConfig's members may stand at the top of a create body, too; they are documented once. */
const atTop = new Set(fieldsOf('ContainerCreate', hostConfig));

const fields = [
  ...fieldsOf('ContainerCreate', containerCreate).filter((field) => !atTop.has(field)),
  ...fieldsOf('ContainerUpdate', containerUpdate),
  ...fieldsOf('ContainerExec', execCreate),
  ...fieldsOf('ExecStart', execStart),
];

/** Rows `| operation | field | answer | on a cluster | note |`. */
const rows = new Map(
  [
    ...documentation.matchAll(
      /^\| (ContainerCreate|ContainerUpdate|ContainerExec|ExecStart) \| `([\w.]+)` \| (.+?) \|(.*?)\| (.*?) ?\|$/gm,
    ),
  ].map(([, operation = '', field = '', answer = '', cluster = '', note = '']) => [
    `${operation} ${field}`,
    { answer, cluster: cluster.trim(), note },
  ]),
);

test('there are fields', () => expect(fields.length).toBeGreaterThan(150));

test.each(fields)('%s is in docs/compatibility.md', (field) => {
  const row = rows.get(field);
  expect(row).toBeDefined();
  expect(['yes', 'differs', 'warns', 'refused']).toContain(row?.answer);
  if (row?.answer !== 'yes') expect(row?.note).not.toBe('');
});

test.each(Object.entries(createFields))(
  '%s on a cluster is what docs/compatibility.md says',
  (field, [fate, how]) => {
    // a struct's members have rows of their own
    if (field === 'NetworkingConfig') return;
    expect(rows.get(`ContainerCreate ${field}`)?.cluster).toBe(`${fate}: ${how}`);
  },
);

test('each field of create has a word for clusters', () => {
  const silent = [...rows].filter(
    ([key, { cluster }]) =>
      key.startsWith('ContainerCreate ') && !/^(honoured|warned|refused)\b/.test(cluster),
  );
  expect(silent).toEqual([]);
});

test('docs/compatibility.md has no row of a field that is not declared', () => {
  expect([...rows.keys()].filter((field) => !fields.includes(field))).toEqual([]);
});

test('each field of a container has a comparison with dockerd', () => {
  const cases = readdirSync(join(root, 'test/compat/fields'))
    .map((name) => readFileSync(join(root, 'test/compat/fields', name), 'utf8'))
    .join('\n');
  const created = fields
    .filter((field) => field.startsWith('ContainerCreate ') && !field.includes('NetworkingConfig'))
    .map((field) => field.split(/[ .]/).at(-1) ?? '');
  expect(created.filter((name) => !new RegExp(`\\b${name}\\b`).test(cases))).toEqual([]);
});
