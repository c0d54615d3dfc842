// The table of fields in docs/kubernetes.md is what the schemas know: no field more, no field less.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  clusterOnlyFields,
  warnedContainerFields,
  warnedMountFields,
  warnedWorkloadFields,
} from '../../../src/kubernetes/schema/pod';
import { manifestSchemas } from '../../../src/kubernetes/schema/workload';

const documentation = readFileSync(join(__dirname, '../../../docs/kubernetes.md'), 'utf8');

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

/** Of which the daemon says that they have no effect. */
function hasNoEffect(path: string, field: string): boolean {
  if (
    /^\w+\.spec$/.test(path) &&
    path !== 'Pod.spec' &&
    (warnedWorkloadFields as readonly string[]).includes(field)
  ) {
    return true;
  }
  if (path.endsWith('ontainers[]')) return (warnedContainerFields as readonly string[]).includes(field);
  if (path.endsWith('volumeMounts[]')) return (warnedMountFields as readonly string[]).includes(field);
  return path === 'Pod.spec' && (clusterOnlyFields as readonly string[]).includes(field);
}

const rows = new Map<string, string>();
const seen = new Map<string, string>();

/** A row for each object; one that is like another says so. */
function describeObject(path: string, schema: JsonSchema): void {
  const inner = schema.items ?? schema.anyOf?.find(({ properties }) => properties !== undefined);
  if (inner !== undefined) {
    describeObject(schema.items === undefined ? path : `${path}[]`, inner);
    return;
  }
  const { properties } = schema;
  if (properties === undefined) return;
  const text = JSON.stringify(schema);
  const same = seen.get(text);
  const fields = Object.keys(properties);
  if (same !== undefined && fields.length > 1) {
    rows.set(path, `as \`${same}\``);
    return;
  }
  seen.set(text, path);
  rows.set(path, fields.map((field) => `\`${field}\`${hasNoEffect(path, field) ? '°' : ''}`).join(', '));
  for (const [field, member] of Object.entries(properties)) describeObject(`${path}.${field}`, member);
}

for (const [kind, schema] of Object.entries(manifestSchemas)) {
  const { properties = {} } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
  }) as JsonSchema;
  const fields = Object.keys(properties).filter((field) => !['apiVersion', 'kind', 'status'].includes(field));
  rows.set(kind, fields.map((field) => `\`${field}\``).join(', '));
  for (const field of fields) describeObject(`${kind}.${field}`, properties[field] ?? {});
}

test('docs/kubernetes.md has every field, and no other', () => {
  const expected = [...rows].map(([path, fields]) => `| \`${path}\` | ${fields} |`);
  expect(documentation.split('\n').filter((line) => /^\| `[A-Z]/.test(line))).toEqual(expected);
});
