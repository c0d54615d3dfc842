import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { writePidFile } from '../../../src/daemon/pid-file';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pid-file-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('holds the pid until it is removed', async () => {
  const path = join(dir, 'run', 'caisson.pid');
  const remove = await writePidFile(path);
  expect(readFileSync(path, 'utf8')).toBe(String(process.pid));
  await remove();
  expect(() => statSync(path)).toThrow('ENOENT');
});

it('is not written over that of a process that lives', async () => {
  const path = join(dir, 'caisson.pid');
  writeFileSync(path, String(process.ppid));
  await expect(writePidFile(path)).rejects.toMatchObject({ code: 'Conflict' });
});

it('leaves a device as it is, and refuses a directory', async () => {
  const before = statSync('/dev/null');
  await (
    await writePidFile('/dev/null')
  )();
  const after = statSync('/dev/null');
  expect([after.mode, after.ino]).toEqual([before.mode, before.ino]);
  mkdirSync(join(dir, 'directory'));
  await expect(writePidFile(join(dir, 'directory'))).rejects.toMatchObject({ code: 'InvalidParameter' });
});
