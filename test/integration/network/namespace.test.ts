// The private namespace's name, which somebody may take away.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PrivateNamespace } from '../../../src/network/namespace';

let directory: string;
let namespace: PrivateNamespace;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'caisson-namespace-'));
  namespace = await PrivateNamespace.open(join(directory, 'netns'));
});

afterEach(async () => {
  await namespace.remove();
  rmSync(directory, { recursive: true });
});

it('is mounted once, however many miss it at the same time', async () => {
  execFileSync('umount', ['--lazy', namespace.path]);
  expect(namespace.exists()).toBe(false);
  expect(await Promise.all([namespace.ensure(), namespace.ensure(), namespace.ensure()])).toEqual([
    true,
    true,
    true,
  ]);
  execFileSync('umount', ['--lazy', namespace.path]);
  expect(namespace.exists()).toBe(false);
  expect(await namespace.ensure()).toBe(true);
  expect(await namespace.ensure()).toBe(false);
});
