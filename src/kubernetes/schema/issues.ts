// What zod finds wrong, in words: each with the path of its field.

import type { z } from 'zod';

/** All that is wrong, so that a user need not try again for each: `spec.replicas: …; spec.foo: …`. */
export function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  return issues.flatMap(describeIssue).join('; ');
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.reduce<string>(appendToPath, '');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${appendToPath(path, key)}: is not known or not supported`);
  }
  return [`${path === '' ? 'the object' : path}: ${issue.message}`];
}

function appendToPath(path: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  const text = String(key);
  if (!/^\w+$/.test(text)) return `${path}[${JSON.stringify(text)}]`;
  return path === '' ? text : `${path}.${text}`;
}
