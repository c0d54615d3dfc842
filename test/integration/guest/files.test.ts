// Jobs on a container's files in a real VM, by the agent's protocol alone.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, symlinkSync, mkdirSync, linkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { GuestJob } from '../../../src/vm/contract/protocol';
import { Guest } from '../../support/guests/guest-harness';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';

jest.setTimeout(600_000); // what hangs is told earlier, by the VM's own time

const images = new TestImages();
const scratch = mkdtempSync(path.join(tmpdir(), 'caisson-files-'));
let guest: Guest;
let count = 0;

beforeAll(async () => {
  guest = await Guest.start();
  await guest.identify();
  await guest.request('pod.setup', { pod: podSpec('pod') });
  const [layer, writable] = await guest.plug(
    { file: images.layer, readOnly: true },
    { file: images.writable(), readOnly: false },
  );
  const rootfs = { layers: [layer!], writable: writable! };
  const spec = containerSpec('held', rootfs, processSpec(['none']));
  await guest.request('container.start', { container: { ...spec, hold: true } });
});

afterAll(async () => {
  await guest.end();
  images.remove();
  rmSync(scratch, { recursive: true, force: true });
});

async function run(job: GuestJob, input?: Buffer): Promise<{ code: number; out: Buffer; err: string }> {
  const id = `job${count++}`;
  const channels = { stdin: guest.channel(), stdout: guest.channel(), stderr: guest.channel() };
  await guest.request('job.start', { id, containerId: 'held', job, ...channels });
  if (input !== undefined) {
    guest.input(channels.stdin, input);
    guest.endInput(channels.stdin);
  }
  const { status } = await guest.exit(id);
  return {
    code: status.exitCode,
    out: Buffer.from(guest.text(channels.stdout), 'utf8'),
    err: guest.text(channels.stderr),
  };
}

const extract = (at: string, archive: Buffer): ReturnType<typeof run> =>
  run(
    {
      kind: 'extract',
      path: at,
      noOverwriteDirNonDir: false,
      setOwner: false,
      uid: 0,
      gid: 0,
    },
    archive,
  );

const tarOf = (directory: string): Buffer => execFileSync('tar', ['-C', directory, '-cf', '-', '.']);
const listing = (archive: Buffer): string[] =>
  execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' }).trim().split('\n');

test('what is unpacked is found, archived, listed as a change and part of the layer', async () => {
  const source = path.join(scratch, 'source');
  mkdirSync(path.join(source, 'new/deep'), { recursive: true });
  writeFileSync(path.join(source, 'new/file'), 'text');
  mkdirSync(path.join(source, 'etc'));
  writeFileSync(path.join(source, 'etc/group'), 'other');
  linkSync(path.join(source, 'new/file'), path.join(source, 'new/hard'));
  symlinkSync('/new/deep', path.join(source, 'new/link'));
  expect(await extract('/', tarOf(source))).toEqual({ code: 0, out: Buffer.alloc(0), err: '' });

  const stat = (await run({ kind: 'stat', path: '/new/link' })).out.toString().split('\0');
  expect(stat.slice(1)).toEqual(['/new/link', '/new/deep', '/new/deep']);
  const behind = (await run({ kind: 'stat', path: '/new/link/' })).out.toString().split('\0');
  expect(Number(behind[0]?.split(' ')[0]) & 0o170000).toBe(0o040000);

  const { out } = await run({ kind: 'archive', path: '/new', name: 'name' });
  expect(listing(out)).toEqual(['name/', 'name/deep/', 'name/file', 'name/hard', 'name/link']);
  const changes = (await run({ kind: 'changes' })).out.toString().split('\0');
  expect(changes).toEqual(
    expect.arrayContaining(['C/etc', 'C/etc/group', 'A/new', 'A/new/deep', 'A/new/file', 'A/new/link']),
  );
  expect(changes.join(' ')).not.toContain('dockerenv');
  expect(listing((await run({ kind: 'layer' })).out)).toEqual(
    expect.arrayContaining(['new/', 'new/deep/', 'new/file']),
  );
});

test('mounts of the container are not seen, and no path leads out of it', async () => {
  const proc = await run({ kind: 'archive', path: '/proc', name: 'proc' });
  expect(listing(proc.out)).toEqual(['proc/']);
  const up = await run({ kind: 'stat', path: '/../../../etc/passwd' });
  expect(up.out.toString()).toContain('/etc/passwd');
  expect(await run({ kind: 'stat', path: '/run/c' })).toMatchObject({ code: 2 });
});

test('archives that lead out, are cut or are none fail', async () => {
  const entry = (name: string): Buffer =>
    execFileSync('tar', ['-C', scratch, '-P', '--transform', `s,.*,${name},`, '-cf', '-', 'plain']);
  writeFileSync(path.join(scratch, 'plain'), 'x');
  expect((await extract('/etc', entry('../../evil'))).code).not.toBe(0);
  expect((await extract('/', entry('cut').subarray(0, 512))).err).toContain('unexpected EOF');
  expect((await extract('/', Buffer.alloc(2048, 'x'))).err).toContain('invalid tar header');
  expect(await run({ kind: 'stat', path: '/evil' })).toMatchObject({ code: 2 });
});

test('the files of a container are there however soon its process has ended', async () => {
  for (let round = 0; round < 3; round += 1) {
    const container = `soon${round}`;
    const [layer, writable] = await guest.plug(
      { file: images.layer, readOnly: true },
      { file: images.writable('64M'), readOnly: false },
    );
    const spec = containerSpec(container, { layers: [layer!], writable: writable! }, processSpec(['true']));
    const started = guest.request('container.start', { container: spec });
    // the agent has much to do while the program comes and goes
    const others = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 20 }, () => guest.request('container.stats', { id: 'held' })));
    while (guest.exitOf(container) === undefined) await others();
    await started;
    const [id, stdout] = [`look${round}`, guest.channel()];
    const channels = { stdin: guest.channel(), stdout, stderr: guest.channel() };
    await guest.request('job.start', {
      id,
      containerId: container,
      job: { kind: 'stat', path: '/bin/true' },
      ...channels,
    });
    expect((await guest.exit(id)).status.exitCode).toBe(0);
    expect(guest.text(stdout)).toContain('/bin/');
    await guest.request('container.remove', { id: container, sync: false });
  }
});

test('a job that nobody reads ends with its signal, and the end of the Pod waits for none', async () => {
  const id = 'unread';
  const channels = { stdin: guest.channel(), stdout: guest.channel(), stderr: guest.channel() };
  const job: GuestJob = {
    kind: 'extract',
    path: '/',
    noOverwriteDirNonDir: false,
    setOwner: false,
    uid: 0,
    gid: 0,
  };
  await guest.request('job.start', { id, containerId: 'held', job, ...channels });
  await guest.request('pod.teardown', {});
  expect((await guest.exit(id)).status.signal).toBe(9);
});
