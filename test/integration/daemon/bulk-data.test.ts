// Archives of all sizes through the bulk disk, with a real VM: byte for byte, several at once, and whatever the guest does.

import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

/** Around what goes as plain bytes, around slots, and some that go around all slots more than once. */
const sizes = [0, 1, 65_535, 65_536, 65_537, 524_287, 524_288, 589_824, 589_825, 2_100_000, 7_654_321];
const engine = useBusyboxDaemon('bulk');
const { docker } = engine;

beforeAll(() => {
  docker('run', '-d', '--name', 'files', '--privileged', 'busybox', 'sleep', '100000');
  mkdirSync(atHost('in'));
  for (const size of sizes) writeFileSync(atHost(`in/of-${size}`), randomBytes(size));
}, 180_000);

/** Where the test's own files are. */
function atHost(path: string): string {
  return join(engine.dir, path);
}

/** Resolves with the exit code. */
async function copy(from: string, to: string): Promise<number> {
  const child = spawn('docker', ['--host', engine.daemon.host, 'cp', from, to], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

/** Digest by name. */
function digests(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(directory, name)))
        .digest('hex'),
    ]),
  );
}

function digestsInside(directory: string): Record<string, string> {
  const lines = docker('exec', 'files', 'sh', '-c', `cd ${directory} && sha256sum *`).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/\s+/).reverse()) as [string, string][]);
}

function bulkFiles(): string[] {
  const vms = atHost('run/vms');
  return readdirSync(vms).map((id) => join(vms, id, 'bulk'));
}

test('files of odd sizes arrive as they were, in and out', async () => {
  expect(await copy(atHost('in'), 'files:/one')).toBe(0);
  expect(digestsInside('/one')).toEqual(digests(atHost('in')));
  expect(await copy('files:/one', atHost('out'))).toBe(0);
  expect(digests(atHost('out'))).toEqual(digests(atHost('in')));
}, 120_000);

test('more copies at once than the disk has parts do not mix', async () => {
  const directions = Array.from({ length: 8 }, (_, index) =>
    index % 2 === 0 ? copy(atHost('in'), `files:/many${index}`) : copy('files:/one', atHost(`many${index}`)),
  );
  expect(await Promise.all(directions)).toEqual(directions.map(() => 0));
  for (const index of [0, 2, 4, 6]) expect(digestsInside(`/many${index}`)).toEqual(digests(atHost('in')));
  for (const index of [1, 3, 5, 7]) {
    expect(digests(atHost(`many${index}`))).toEqual(digests(atHost('in')));
  }
  for (const file of bulkFiles()) expect(statSync(file)).toMatchObject({ blocks: 0, mode: 0o100600 });
}, 240_000);

test('a commit and an export hold the same bytes', () => {
  docker('commit', 'files', 'committed');
  const digest = digests(atHost('in'))['of-7654321'];
  expect(docker('run', '--rm', 'committed', 'sha256sum', '/one/of-7654321')).toContain(digest);
  const exported = execFileSync(
    'sh',
    ['-c', `docker --host ${engine.daemon.host} export files | tar -xO one/of-7654321 | sha256sum`],
    { encoding: 'utf8' },
  );
  expect(exported).toContain(digest);
}, 120_000);

test('a guest that writes to the disk all the time harms itself alone, and nobody later', async () => {
  docker(
    'exec',
    '-d',
    'files',
    'sh',
    '-c',
    'while [ ! -e /stop ]; do dd if=/dev/urandom of=/dev/vda bs=64k; done',
  );
  await copy(atHost('in'), 'files:/spoilt');
  await copy('files:/one', atHost('spoilt'));
  docker('exec', 'files', 'touch', '/stop');
  docker('restart', '-t', '0', 'files');
  expect(await copy(atHost('in'), 'files:/after')).toBe(0);
  expect(digestsInside('/after')).toEqual(digests(atHost('in')));
}, 240_000);

test('a VM that was started without the disk is copied to and from by the port', async () => {
  for (const file of bulkFiles()) rmSync(file);
  expect(await copy(atHost('in'), 'files:/port')).toBe(0);
  expect(digestsInside('/port')).toEqual(digests(atHost('in')));
  expect(await copy('files:/port', atHost('port'))).toBe(0);
  expect(digests(atHost('port'))).toEqual(digests(atHost('in')));
}, 120_000);
