// The file server against a guest that lies: built with the address and undefined-behaviour sanitizers, it must answer each
// request once, reach nothing outside its share, and give back what it was given.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  constants as fileConstants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';

import {
  fuse,
  type FuseAnswer,
  FuseClient,
  fuseRoot,
  names,
  readBody,
  u32s,
  u64s,
} from '../../support/guests/fuse-client';
import { makeScratchDir } from '../../support/process/scratch-dir';
import * as shareProtocol from '../../support/guests/share-protocol';

jest.setTimeout(600_000);

const { EACCES, EAGAIN, EBADF, EINVAL, EMFILE, ENOENT, EPERM, EROFS, EXDEV, ELOOP, ESTALE, ENXIO } =
  constants.errno;
/** More lookups than a node has. */
const allLookups = 1n << 62n;

let directory: string;
let client: FuseClient;
let share: bigint;

beforeEach(async () => {
  directory = makeScratchDir('fs-server');
  for (const name of ['share', 'fixed', 'outside']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'outside', 'secret'), 'untouched');
  writeFileSync(join(directory, 'share', 'file'), 'content');
  writeFileSync(join(directory, 'fixed', 'file'), 'fixed');
  symlinkSync(join(directory, 'outside'), join(directory, 'share', 'way-out'));
  symlinkSync('../outside/secret', join(directory, 'share', 'secret'));
  client = await FuseClient.start(directory);
  expect(await client.control(`add rw rw 0 ${join(directory, 'share')}`)).toBe('ok');
  expect(await client.control(`add ro ro 0 ${join(directory, 'fixed')}`)).toBe('ok');
  await client.request(fuse.init, 0n, u32s(7, 37, 1 << 20, 0xffffffff));
  share = await lookUp(fuseRoot, 'rw');
});

afterEach(async () => {
  const code = await client.end();
  expect({ code, complaints: client.complaints }).toEqual({ code: 0, complaints: '' });
  expect(readFileSync(join(directory, 'outside', 'secret'), 'utf8')).toBe('untouched');
  expect(readdirSync(join(directory, 'outside'))).toEqual(['secret']);
  expect(readFileSync(join(directory, 'fixed', 'file'), 'utf8')).toBe('fixed');
  rmSync(directory, { recursive: true });
});

async function lookUp(parent: bigint, name: string): Promise<bigint> {
  const { error, body } = await client.request(fuse.lookup, parent, names(name));
  expect(error).toBe(0);
  return body.readBigUInt64LE(0);
}

const refusal = async (opcode: number, node: bigint, body: Buffer): Promise<number> =>
  Math.abs((await client.request(opcode, node, body)).error);

test.each(['..', '.', '', '/etc/passwd', '../outside/secret', 'way-out/secret', 'x'.repeat(60_000)])(
  'a name that is no name of the directory reaches nothing: %#',
  async (name) => {
    expect(await refusal(fuse.lookup, share, names(name))).not.toBe(0);
    expect(await refusal(fuse.mkdir, share, Buffer.concat([u32s(0o755, 0), names(name)]))).not.toBe(0);
    expect(
      await refusal(fuse.create, share, Buffer.concat([u32s(0o102, 0o644, 0, 0), names(name)])),
    ).not.toBe(0);
    expect(await refusal(fuse.unlink, share, names(name))).not.toBe(0);
    expect(await refusal(fuse.symlink, share, names(name, '/'))).not.toBe(0);
    expect(await refusal(fuse.rename, share, Buffer.concat([u64s(share), names('file', name)]))).not.toBe(0);
    expect(existsSync(join(directory, 'share', 'file'))).toBe(true);
  },
);

test('a share that is protected takes no more writes, also through a file that is open', async () => {
  const file = await lookUp(share, 'file');
  const opened = await client.request(fuse.open, file, u32s(2, 0));
  const handle = opened.body.readBigUInt64LE(0);
  expect(await client.control('protect rw')).toBe('ok');
  expect(await client.control('protect none')).toBe('ENOENT');
  const write = Buffer.concat([u64s(handle, 0n), u32s(1, 0), u64s(0n), u32s(0, 0), Buffer.from('x')]);
  expect(await refusal(fuse.write, file, write)).toBe(EROFS);
  expect(await refusal(fuse.open, file, u32s(1, 0))).toBe(EROFS);
  expect(await refusal(fuse.mkdir, share, Buffer.concat([u32s(0o755, 0), names('new')]))).toBe(EROFS);
  expect(readFileSync(join(directory, 'share', 'file'), 'utf8')).toBe('content');
});

test('symbolic links are never followed, and lead nowhere on the host', async () => {
  const [wayOut, secret] = [await lookUp(share, 'way-out'), await lookUp(share, 'secret')];
  expect(await refusal(fuse.open, secret, u32s(2, 0))).toBe(ENXIO);
  expect(await refusal(fuse.lookup, wayOut, names('secret'))).not.toBe(0);
  const truncate = Buffer.concat([u32s(8, 0), Buffer.alloc(80)]);
  expect(await refusal(fuse.setattr, secret, truncate)).toBe(ELOOP);
  // O_CREAT on a link that was made meanwhile
  expect(await refusal(fuse.create, share, Buffer.concat([u32s(0o1002, 0o644, 0, 0), names('secret')]))).toBe(
    ELOOP,
  );
});

test('a directory that takes turns with a link out of the share leads nowhere', async () => {
  mkdirSync(join(directory, 'share', 'inner'));
  writeFileSync(join(directory, 'share', 'inner', 'secret'), 'inside');
  const rename = (from: string, to: string): Promise<FuseAnswer> =>
    client.request(fuse.rename, share, Buffer.concat([u64s(share), names(from, to)]));
  const reached = new Set<string>();
  const read = async (): Promise<void> => {
    const { error, body } = await client.request(fuse.lookup, share, names('turn'));
    if (error !== 0) return;
    const turn = body.readBigUInt64LE(0);
    const made = Buffer.concat([u32s(0o102, 0o644, 0, 0), names('planted')]);
    const [file] = await Promise.all([
      client.request(fuse.lookup, turn, names('secret')),
      client.request(fuse.create, turn, made),
      client.request(fuse.unlink, turn, names('secret-of-nobody')),
    ]);
    if (file.error !== 0) return;
    const node = file.body.readBigUInt64LE(0);
    const opened = await client.request(fuse.open, node, u32s(0, 0));
    const handle = opened.body.readBigUInt64LE(0);
    const got = await client.request(fuse.read, node, readBody(handle));
    reached.add(got.body.toString());
  };
  const swap = async (): Promise<void> => {
    await Promise.all([rename('inner', 'turn'), rename('turn', 'inner')]);
    await Promise.all([rename('way-out', 'turn'), rename('turn', 'way-out')]);
  };
  await rename('inner', 'turn');
  await read();
  expect([...reached]).toEqual(['inside']);
  for (let round = 0; round < 100; round += 1)
    await Promise.all([swap(), ...Array.from({ length: 6 }, read)]);
  // nor anything else
  expect([...reached]).toEqual(['inside']);
});

test('a read-only share stays as it is, whatever the guest mounts it as', async () => {
  const root = await lookUp(fuseRoot, 'ro');
  const file = await lookUp(root, 'file');
  expect(await refusal(fuse.open, file, u32s(2, 0))).toBe(EROFS);
  expect(await refusal(fuse.open, file, u32s(0o1000, 0))).toBe(EROFS);
  expect(await refusal(fuse.unlink, root, names('file'))).toBe(EROFS);
  expect(await refusal(fuse.setattr, file, Buffer.concat([u32s(8, 0), Buffer.alloc(80)]))).toBe(EROFS);
  expect(await refusal(fuse.link, share, Buffer.concat([u64s(file), names('linked')]))).toBe(EXDEV);
  expect(await refusal(fuse.rename, share, Buffer.concat([u64s(root), names('file', 'moved')]))).toBe(EXDEV);
});

test('numbers that were never handed out', async () => {
  expect(await refusal(fuse.getattr, 999_999n, Buffer.alloc(16))).toBe(ESTALE);
  expect(await refusal(fuse.lookup, 999_999n, names('file'))).toBe(ESTALE);
  expect(await refusal(fuse.lookup, fuseRoot, names('outside'))).toBe(ENOENT);
  expect(await refusal(fuse.rename, share, Buffer.concat([u64s(12_345n), names('file', 'moved')]))).toBe(
    EINVAL,
  );
  const node = await lookUp(share, 'file');
  expect(await refusal(fuse.read, node, Buffer.concat([u64s(77n, 0n), u32s(4096, 0)]))).not.toBe(0);
  const opened = await client.request(fuse.open, node, u32s(0, 0));
  const handle = opened.body.readBigUInt64LE(0);
  // a handle is only good with its own file
  expect(await refusal(fuse.read, share, Buffer.concat([u64s(handle, 0n), u32s(4096, 0)]))).not.toBe(0);
  expect(await refusal(fuse.release, node, u64s(handle, 0n, 0n))).toBe(0);
});

test('directories that are opened and never closed, and locks that are waited for, have a limit', async () => {
  const before = client.descriptors();
  const handles: bigint[] = [];
  for (;;) {
    const { error, body } = await client.request(fuse.opendir, share, u32s(0, 0));
    if (error !== 0) break;
    handles.push(body.readBigUInt64LE(0));
  }
  expect(handles.length).toBe(4096);
  await Promise.all(handles.map((handle) => client.request(fuse.releasedir, share, u64s(handle, 0n, 0n))));

  const node = await lookUp(share, 'file');
  const lock = (owner: bigint): Buffer =>
    Buffer.concat([u64s(0n, owner, 0n, (1n << 63n) - 1n), u32s(1, 0, 0, 0)]);
  expect(await refusal(fuse.setlk, node, lock(1n))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(2n))).toBe(constants.errno.EAGAIN);
  const first = client.next;
  const waits = Array.from({ length: 1100 }, (_, index) =>
    refusal(fuse.setlkw, node, lock(BigInt(index + 2))),
  );
  const last = client.next;
  // what was refused has been answered already; the others are told to give up
  expect(await Promise.race(waits)).not.toBe(0);
  for (let unique = first; unique < last; unique += 1n)
    await client.request(fuse.interrupt, 0n, u64s(unique));
  const ends = await Promise.all(waits);
  expect(new Set(ends)).toEqual(new Set([constants.errno.EINTR, 37 /* ENOLCK */]));
  await client.request(fuse.forget, node, u64s(allLookups));
  await settledAt(before);
});

test("an open file's own locks go with it, and no other's", async () => {
  const node = await lookUp(share, 'file');
  const open = async (): Promise<bigint> =>
    (await client.request(fuse.open, node, u32s(2, 0))).body.readBigUInt64LE(0);
  const lock = (handle: bigint, owner: bigint): Buffer =>
    Buffer.concat([u64s(handle, owner, 0n, 99n), u32s(1, 0, 0, 0)]);
  const [holder, other, third] = [await open(), await open(), await open()];
  expect(await refusal(fuse.setlk, node, lock(holder, 1n))).toBe(0);
  const wait = refusal(fuse.setlkw, node, lock(other, 2n));
  expect(await refusal(fuse.setlk, node, lock(third, 3n))).toBe(constants.errno.EAGAIN);
  // as when its process is killed: no unlocking, and no FLUSH that names the lock's owner
  expect(await refusal(fuse.release, node, u64s(holder, 0n, 0n))).toBe(0);
  expect(await wait).toBe(0);
  expect(await refusal(fuse.release, node, u64s(holder, 0n, 0n))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(third, 3n))).toBe(constants.errno.EAGAIN);
  expect(await refusal(fuse.release, node, u64s(other, 0n, 0n))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(third, 3n))).toBe(0);
  await client.request(fuse.release, node, u64s(third, 0n, 0n));
});

test('a write appends if it says so, and a page of a mapping goes to its place', async () => {
  const node = await lookUp(share, 'file');
  const open = async (flags: number): Promise<{ handle: bigint; how: number }> => {
    const { body } = await client.request(fuse.open, node, u32s(flags, 0));
    return { handle: body.readBigUInt64LE(0), how: body.readUInt32LE(8) };
  };
  const write = (handle: bigint, text: string, how: number, flags: number): Promise<number> =>
    refusal(
      fuse.write,
      node,
      Buffer.concat([u64s(handle, 0n), u32s(text.length, how), u64s(0n), u32s(flags, 0), Buffer.from(text)]),
    );
  const { O_RDWR, O_WRONLY, O_APPEND } = fileConstants;
  const both = await open(O_RDWR | O_APPEND);
  expect(await write(both.handle, 'one', 0, O_RDWR | O_APPEND)).toBe(0);
  expect(await write(both.handle, 'CON', 1 /* from the page cache */, O_RDWR | O_APPEND)).toBe(0);
  expect(await write(both.handle, 't', 0, O_RDWR)).toBe(0);
  expect(readFileSync(join(directory, 'share', 'file'), 'utf8')).toBe('tONtentone');
  // what can't be mapped is written without the guest's pages, in one piece
  const directIo = 1;
  expect([both.how & directIo, (await open(O_WRONLY | O_APPEND)).how & directIo]).toEqual([0, directIo]);
});

test('a file of a read-only share keeps its set-id bits, whatever it is opened with', async () => {
  const path = join(directory, 'fixed', 'file');
  chmodSync(path, 0o6755);
  const file = await lookUp(await lookUp(fuseRoot, 'ro'), 'file');
  const killSetId = 1;
  expect(await refusal(fuse.open, file, u32s(0, killSetId))).toBe(0);
  expect(await refusal(fuse.open, file, u32s(0o1000, killSetId))).toBe(EROFS);
  expect(statSync(path).mode & 0o7777).toBe(0o6755);
});

test('a share that is protected takes no copies, also into a file that the guest has forgotten', async () => {
  const [file, from] = [await lookUp(share, 'file'), await lookUp(await lookUp(fuseRoot, 'ro'), 'file')];
  const handleOf = async (node: bigint, flags: number): Promise<bigint> =>
    (await client.request(fuse.open, node, u32s(flags, 0))).body.readBigUInt64LE(0);
  const [to, source] = [await handleOf(file, 2), await handleOf(from, 0)];
  const copy = u64s(source, 0n, file, to, 0n, 5n, 0n);
  expect(await client.control('protect rw')).toBe('ok');
  expect(await refusal(fuse.copyFileRange, from, copy)).toBe(EROFS);
  await client.request(fuse.forget, file, u64s(allLookups));
  expect(await refusal(fuse.copyFileRange, from, copy)).toBe(EBADF);
  expect(readFileSync(join(directory, 'share', 'file'), 'utf8')).toBe('content');
});

test('a number may be forgotten before it has been told', async () => {
  let known = await lookUp(share, 'file');
  for (let round = 0; round < 300; round += 1) {
    const guesses = Array.from({ length: 32 }, (_, index) => u64s(known + BigInt(index), allLookups));
    const forget = Buffer.concat([u32s(guesses.length, 0), ...guesses]);
    const found = Array.from({ length: 16 }, async () => {
      const answer = client.request(fuse.lookup, share, names('file'));
      await client.request(fuse.batchForget, 0n, forget);
      return (await answer).body.readBigUInt64LE(0);
    });
    for (const node of await Promise.all(found)) known = node > known ? node : known;
  }
});

test('a lock is asked for in few words', async () => {
  const node = await lookUp(share, 'file');
  const lock = Buffer.concat([u64s(0n, 1n, 0n, 99n), u32s(1, 0, 0, 0)]);
  expect(await refusal(fuse.setlkw, node, Buffer.concat([lock, Buffer.alloc(1 << 20)]))).toBe(EINVAL);
  expect(await refusal(fuse.setlkw, node, lock)).toBe(0);
});

test('who waits for a lock has it in the end, also if the process closes the file by another descriptor', async () => {
  const node = await lookUp(share, 'file');
  const { ino } = statSync(join(directory, 'share', 'file'));
  const [first, second] = [0n, 200n];
  const lock = (owner: bigint, from: bigint, type: number): Buffer =>
    Buffer.concat([u64s(0n, owner, from, from + 99n), u32s(type, 0, 0, 0)]);
  const [write, none] = [1, 2];
  const waits = (): boolean =>
    readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .some((line) => line.includes('->') && line.includes(`:${String(ino)} `));
  expect(await refusal(fuse.setlk, node, lock(1n, second, write))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(2n, first, write))).toBe(0);
  const wait = refusal(fuse.setlkw, node, lock(1n, first, write));
  while (!waits()) await client.request(fuse.getattr, node, Buffer.alloc(16));
  expect(await refusal(fuse.flush, node, u64s(0n, 0n, 1n))).toBe(0);
  // what it had is gone, as close(2) has it
  expect(await refusal(fuse.setlk, node, lock(3n, second, write))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(2n, first, none))).toBe(0);
  expect(await wait).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(3n, first, write))).toBe(EAGAIN);
  expect(await refusal(fuse.flush, node, u64s(0n, 0n, 1n))).toBe(0);
  expect(await refusal(fuse.setlk, node, lock(3n, first, write))).toBe(0);
});

test('files of another device are listed by the numbers that they have', async () => {
  const other = mkdtempSync('/dev/shm/fs-server-');
  try {
    writeFileSync(join(other, 'file'), '');
    expect(await client.control(`add other ro 0 ${other}`)).toBe('ok');
    await lookUp(share, 'file');
    const root = await lookUp(fuseRoot, 'other');
    const found = await client.request(fuse.lookup, root, names('file'));
    const opened = await client.request(fuse.opendir, root, u32s(0, 0));
    const handle = opened.body.readBigUInt64LE(0);
    const list = await client.request(fuse.readdir, root, readBody(handle));
    const listed = new Map<string, bigint>();
    for (let at = 0; at < list.body.length;) {
      const length = list.body.readUInt32LE(at + 16);
      const name = list.body.toString('latin1', at + 24, at + 24 + length);
      listed.set(name, list.body.readBigUInt64LE(at));
      at += (24 + length + 7) & ~7;
    }
    expect(listed.get('file')).toBe(found.body.readBigUInt64LE(40));
  } finally {
    rmSync(other, { recursive: true });
  }
});

test('a guest that opens all that can be opened leaves the daemon its connections', async () => {
  const own = join(directory, 'own');
  mkdirSync(own);
  const greedy = await FuseClient.start(own, 300);
  try {
    expect(await greedy.control(`add rw rw 0 ${join(directory, 'share')}`)).toBe('ok');
    await greedy.request(fuse.init, 0n, u32s(7, 37, 1 << 20, 0xffffffff));
    const found = async (parent: bigint, name: string): Promise<bigint> =>
      (await greedy.request(fuse.lookup, parent, names(name))).body.readBigUInt64LE(0);
    const file = await found(await found(fuseRoot, 'rw'), 'file');
    const opened = await Promise.all(
      Array.from({ length: 400 }, () => greedy.request(fuse.open, file, u32s(0, 0))),
    );
    expect(new Set(opened.map(({ error }) => error))).toEqual(new Set([0, -EMFILE]));
    const created = Buffer.concat([u32s(0o102, 0o644, 0, 0), names('one-more')]);
    const root = await found(fuseRoot, 'rw');
    expect((await greedy.request(fuse.create, root, created)).error).toBe(-EMFILE);
    expect((await greedy.request(fuse.lookup, root, names('secret'))).error).toBe(-EMFILE);
    expect((await greedy.request(fuse.opendir, root, u32s(0, 0))).error).toBe(-EMFILE);
    const sessions = await Promise.all(Array.from({ length: 8 }, () => greedy.openControl()));
    for (const session of sessions) {
      expect(await session.send('cache rw 0')).toBe('ok');
      session.close();
    }
  } finally {
    await greedy.end();
  }
  expect(greedy.complaints).toBe('');
});

test('other processes of the host are not to be looked into by a share of /proc', async () => {
  // as for a container of Docker's, whose root has no right to trace them
  expect(await client.control('add proc ro 0 /proc')).toBe('ok');
  const proc = await lookUp(fuseRoot, 'proc');
  const ours = await lookUp(proc, String(process.pid));
  expect(await refusal(fuse.open, await lookUp(proc, 'uptime'), u32s(0, 0))).toBe(0);
  const privileged = process.getuid?.() === 0;
  for (const name of ['environ', 'mem'])
    expect(await refusal(fuse.open, await lookUp(ours, name), u32s(0, 0))).toBe(privileged ? EACCES : 0);
});

test('what the kernel makes up is read from it each time', async () => {
  const directIo = 1;
  for (const [name, path, file] of [
    ['proc', '/proc', 'uptime'],
    ['sys', '/sys/kernel', 'uevent_seqnum'],
    ['plain', join(directory, 'share'), 'file'],
  ] as const) {
    expect(await client.control(`add ${name} ro 0 ${path}`)).toBe('ok');
    const node = await lookUp(await lookUp(fuseRoot, name), file);
    const { body } = await client.request(fuse.open, node, u32s(0, 0));
    expect([name, body.readUInt32LE(8) & directIo]).toEqual([name, name === 'plain' ? 0 : directIo]);
  }
});

test('a path with a link in it is not shared: it was resolved before', async () => {
  expect(await client.control(`add linked rw 0 ${join(directory, 'share', 'way-out')}`)).toBe('ELOOP');
  expect(await client.control(`add gone rw 0 ${join(directory, 'gone')}`)).toBe('ENOENT');
  expect(await refusal(fuse.lookup, fuseRoot, names('linked'))).toBe(ENOENT);
});

const anyName = fc.oneof(
  fc.constantFrom('file', 'way-out', 'secret', 'a', 'b', '..', '.', '', '../outside', '/etc', 'a/b'),
  fc.stringMatching(/^[\w./]{0,20}$/),
);
const anyNumber = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 0o102n, 0o1000n, 1n << 31n, (1n << 32n) - 1n, 1n << 62n, (1n << 64n) - 1n),
  fc.bigInt(0n, 40n),
  fc.bigInt(0n, (1n << 64n) - 1n),
);
const anyBody = fc
  .array(
    fc.oneof(
      anyNumber.map((value) => u64s(value)),
      anyNumber.map((value) => u32s(Number(value & 0xffffffffn))),
      anyName.map((name) => names(name)),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts));
/** SETLKW may rightly wait for ever, FALLOCATE rightly fill the disk, and SYNCFS waits for everybody's writes. */
const unwelcome = new Set<number>([fuse.setlkw, fuse.fallocate, fuse.syncfs]);
const anyRequest = fc.record({
  opcode: fc.oneof(fc.integer({ min: 1, max: 55 }), fc.nat()).filter((opcode) => !unwelcome.has(opcode)),
  node: fc.oneof(fc.bigInt(0n, 12n), anyNumber),
  body: anyBody,
});

test('any requests at all: each is answered once, and what was taken can be given back', async () => {
  await client.request(fuse.forget, share, u64s(1n));
  const before = client.descriptors();
  let highest = 0n;
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest, { minLength: 1, maxLength: 40 }), async (requests) => {
      const root = await lookUp(fuseRoot, 'rw');
      await Promise.all(
        requests.map(async ({ opcode, node: other, body }, index) => {
          const node = index % 2 === 0 ? root : other;
          const answer = await client.request(opcode, node, body);
          if (answer.error !== 0) return;
          if (opcode === fuse.open || opcode === fuse.opendir)
            await release(node, answer.body.readBigUInt64LE(0));
          if (opcode === fuse.create)
            await release(answer.body.readBigUInt64LE(0), answer.body.readBigUInt64LE(128));
        }),
      );
      // numbers of nodes count up
      const made = Buffer.concat([u32s(0o100644, 0, 0, 0), names('newest')]);
      const { body } = await client.request(fuse.mknod, root, made);
      if (body.length > 0) highest = body.readBigUInt64LE(0);
      await client.request(fuse.unlink, root, names('newest'));
    }),
    { numRuns: 300 },
  );
  expect(client.strays).toEqual([]);
  expect(client.server.exitCode).toBeNull();
  expect(highest).toBeGreaterThan(300n);
  for (let node = 2n; node <= highest; node += 1n) await client.request(fuse.forget, node, u64s(allLookups));
  await lookUp(fuseRoot, 'rw');
  await settledAt(before);
});

/** The answer to a request comes a little before the server lets go of the file: the number of descriptors has a deadline. */
async function settledAt(descriptors: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (client.descriptors() !== descriptors && Date.now() < deadline) await lookUp(fuseRoot, 'rw');
  expect(client.descriptors()).toBe(descriptors);
}

async function release(node: bigint, handle: bigint): Promise<void> {
  await client.request(fuse.release, node, u64s(handle, 0n, 0n));
}

/** The guest's end of shared files that are watched: protocol/share-changes-protocol.h. */
const replayer = 77;
const watchEverything = 0xfce;
const kind = shareProtocol.changeKind;

async function setWatches(...nodes: bigint[]): Promise<void> {
  const list = nodes.map((node) => Buffer.concat([u64s(node), u32s(watchEverything, 0)]));
  const value = Buffer.concat([
    u32s(shareProtocol.watchesFirst | shareProtocol.watchesLast, nodes.length),
    ...list,
  ]);
  const body = Buffer.concat([u32s(value.length, 0), names(shareProtocol.watchesAttribute), value]);
  expect((await client.request(fuse.setxattr, fuseRoot, body)).error).toBe(0);
}

async function nextChange(): Promise<{ kind: number; node: bigint; name: string; newName: string }> {
  const body = Buffer.concat([u32s(1024, 0), names(shareProtocol.changeAttribute)]);
  const answer = await client.request(fuse.getxattr, fuseRoot, body, 0, replayer);
  expect(answer.error).toBe(0);
  const text = (at: number): string => {
    const bytes = answer.body.subarray(at, at + shareProtocol.nameSize);
    return bytes.toString('utf8', 0, bytes.indexOf(0));
  };
  const [first, node] = [answer.body.readUInt32LE(0), answer.body.readBigUInt64LE(8)];
  return { kind: first, node, name: text(24), newName: text(24 + shareProtocol.nameSize) };
}

const replay = (opcode: number, node: bigint, body: Buffer): Promise<FuseAnswer> =>
  client.request(opcode, node, body, 0, replayer);

describe('what others change in files that the guest watches', () => {
  const atHost = (...parts: string[]): string => join(directory, 'share', ...parts);

  test('is told, in order; what the guest changes itself is not', async () => {
    const file = await lookUp(share, 'file');
    const waiting = nextChange();
    await setWatches(share);
    await client.request(fuse.mkdir, share, Buffer.concat([u32s(0o755, 0), names('own')]));
    execFileSync('sh', ['-c', 'mkdir made; echo more >>file; mv made moved; rmdir moved'], { cwd: atHost() });
    expect(await waiting).toMatchObject({ kind: kind.created, node: share, name: 'made' });
    expect(await nextChange()).toMatchObject({ kind: kind.modified, name: 'file' });
    expect(await nextChange()).toMatchObject({ kind: kind.closed, name: 'file' });
    expect(await nextChange()).toMatchObject({ kind: kind.renamed, name: 'made', newName: 'moved' });
    expect(await nextChange()).toMatchObject({ kind: kind.deleted, name: 'moved' });
    await setWatches(file);
    execFileSync('sh', ['-c', 'touch other; mv other file'], { cwd: atHost() });
    expect(await nextChange()).toMatchObject({ kind: kind.gone, node: file, name: '' });
  });

  test('is done again without being done', async () => {
    await setWatches(share);
    const file = await lookUp(share, 'file');
    const waiting = nextChange();
    writeFileSync(atHost('file'), 'changed');
    const before = statSync(atHost('file'));
    expect(await waiting).toMatchObject({ kind: kind.modified, name: 'file' });
    const found = await replay(fuse.lookup, share, names('file'));
    expect(found.body.readBigUInt64LE(0)).toBe(file);
    const times = Buffer.concat([u32s(0x20, 0), Buffer.alloc(80)]);
    const answer = await replay(fuse.setattr, file, times);
    expect(answer.error).toBe(0);
    // size and modification time as they are
    expect(answer.body.readBigUInt64LE(16 + 8)).toBe(7n);
    expect(answer.body.readBigUInt64LE(16 + 32)).toBe(BigInt(Math.floor(before.mtimeMs / 1000)));
    for (const [opcode, body] of [
      [fuse.unlink, names('file')],
      [fuse.rename, Buffer.concat([u64s(share), names('file', 'renamed')])],
      [fuse.mkdir, Buffer.concat([u32s(0o755, 0), names('never')])],
      [fuse.open, u32s(1, 0)],
    ] as const)
      expect((await replay(opcode, opcode === fuse.open ? file : share, body)).error).toBe(0);
    const truncated = Buffer.concat([u32s(0x8, 0), Buffer.alloc(80)]);
    expect((await replay(fuse.setattr, file, truncated)).error).toBe(0);
    const created = Buffer.concat([u32s(0o102, 0o644, 0, 0), names('never')]);
    expect((await replay(fuse.create, share, created)).error).toBe(-EPERM);
    expect((await replay(fuse.link, share, Buffer.concat([u64s(file), names('never')]))).error).toBe(-EPERM);
    expect(readdirSync(atHost()).sort()).toEqual(['file', 'secret', 'way-out']);
    expect(statSync(atHost('file'))).toEqual(before);
  });

  test('is found by its replayer as it was', async () => {
    await setWatches(share);
    const waiting = nextChange();
    execFileSync('sh', ['-c', 'mkdir made; rmdir made'], { cwd: atHost() });
    // the host may join the two
    expect(await waiting).toMatchObject({ kind: kind.created, name: 'made' });
    expect((await replay(fuse.lookup, share, names('made'))).error).toBe(-ENOENT);
    const made = await replay(fuse.mkdir, share, Buffer.concat([u32s(0o755, 0), names('made')]));
    const phantom = made.body.readBigUInt64LE(0);
    expect(made.error).toBe(0);
    expect((await client.request(fuse.getattr, phantom, Buffer.alloc(16))).error).toBe(-ESTALE);
    expect(await nextChange()).toMatchObject({ kind: kind.deleted, name: 'made' });
    expect((await replay(fuse.lookup, share, names('made'))).error).toBe(0);
    expect((await client.request(fuse.lookup, share, names('made'))).error).toBe(-ENOENT);
    expect((await replay(fuse.rmdir, share, names('made'))).error).toBe(0);
  });

  test('ends with the watch, which keeps nothing', async () => {
    const before = client.descriptors();
    const root = await lookUp(fuseRoot, 'ro');
    const file = await lookUp(root, 'file');
    await setWatches(share, root, file, 12_345n);
    await client.request(fuse.forget, file, u64s(1n));
    await setWatches();
    await settledAt(before + 1); // fanotify's
    await setWatches(share);
    expect(await client.control('remove rw')).toBe('ok');
    writeFileSync(atHost('file'), 'not told');
    await setWatches(root);
    const waiting = nextChange();
    utimesSync(join(directory, 'fixed', 'file'), 1, 1);
    expect(await waiting).toMatchObject({ kind: kind.attributes, node: root, name: 'file' });
  });
});

describe('what the guest may trust for long', () => {
  const atHost = (...parts: string[]): string => join(directory, 'share', ...parts);
  const notifyInode = 2;
  const notifyEntry = 3;
  const aSecond = { entry: 1n, attributes: 1n };

  beforeEach(async () => {
    mkdirSync(atHost('alone'));
    writeFileSync(atHost('alone', 'file'), 'content');
    expect(await client.control(`add alone rw 20 ${atHost('alone')}`)).toBe('ok');
  });

  const secondsOf = ({ body }: FuseAnswer): typeof aSecond => ({
    entry: body.readBigUInt64LE(16),
    attributes: body.readBigUInt64LE(24),
  });

  /** The next change that the guest is told of: the file's number, or the directory's and a name in it. */
  async function nextNotice(): Promise<[bigint] | [bigint, string]> {
    const { code, body } = await client.nextNotice();
    if (code === notifyInode) return [body.readBigUInt64LE(0)];
    expect(code).toBe(notifyEntry);
    return [body.readBigUInt64LE(0), body.toString('utf8', 16, 16 + body.readUInt32LE(8))];
  }

  const marks = (): number =>
    readdirSync(`/proc/${client.server.pid}/fdinfo`)
      .map((name) => readFileSync(`/proc/${client.server.pid}/fdinfo/${name}`, 'utf8'))
      .join('')
      .split('fanotify ino:').length - 1;

  test('are names that are there or are not, until others change them', async () => {
    const root = await lookUp(fuseRoot, 'alone');
    const found = await client.request(fuse.lookup, root, names('file'));
    const file = found.body.readBigUInt64LE(0);
    expect(secondsOf(found)).toEqual(aSecond);
    const missing = await client.request(fuse.lookup, root, names('missing'));
    expect(missing.error).toBe(0);
    expect(missing.body.readBigUInt64LE(0)).toBe(0n);
    expect(secondsOf(missing)).toEqual({ ...aSecond, attributes: 0n });
    await client.request(fuse.mkdir, root, Buffer.concat([u32s(0o755, 0), names('own')]));
    writeFileSync(atHost('alone', 'missing'), '');
    expect([await nextNotice(), await nextNotice()]).toEqual([[root], [root, 'missing']]);
    await lookUp(root, 'file');
    execFileSync('chmod', ['600', atHost('alone', 'file')]);
    let last = await nextNotice();
    while (last[0] === root) last = await nextNotice(); // the rest of what was made
    expect(last).toEqual([file]);
  });

  test('are attributes of a file that was named, and of a directory', async () => {
    const root = await lookUp(fuseRoot, 'alone');
    const file = await lookUp(root, 'file');
    for (const node of [root, file])
      expect((await client.request(fuse.getattr, node, Buffer.alloc(16))).body.readBigUInt64LE(0)).toBe(1n);
  });

  test('is nothing in a directory that is watched, nor of a share that another has, too', async () => {
    const root = await lookUp(fuseRoot, 'alone');
    await setWatches(root);
    expect(secondsOf(await client.request(fuse.lookup, root, names('file'))).entry).toBe(0n);
    await setWatches();
    expect(secondsOf(await client.request(fuse.lookup, root, names('file'))).entry).toBe(1n);
    expect(await client.control('cache alone 0')).toBe('ok');
    expect(secondsOf(await client.request(fuse.lookup, root, names('file'))).entry).toBe(0n);
    expect((await client.request(fuse.lookup, root, names('missing'))).error).toBe(-ENOENT);
  });

  test('ends with the directory', async () => {
    mkdirSync(atHost('alone', 'inner'));
    const root = await lookUp(fuseRoot, 'alone');
    const inner = await lookUp(root, 'inner');
    await client.request(fuse.lookup, inner, names('missing'));
    expect(marks()).toBe(2);
    await client.request(fuse.forget, inner, u64s(allLookups));
    await lookUp(root, 'file');
    expect(marks()).toBe(1);
  });
});

describe('a guest that knows more files than there are descriptors for', () => {
  /** A hundred known files are too many. */
  const maxDescriptors = 400;
  let small: FuseClient;
  let root: bigint;

  const atHost = (...path: string[]): string => join(directory, ...path);
  async function lookUpFiles(first: number, end: number): Promise<bigint[]> {
    const nodes: bigint[] = [];
    for (let i = first; i < end; i++) {
      const { error, body } = await small.request(fuse.lookup, root, names(`f${String(i)}`));
      expect(error).toBe(0);
      nodes.push(body.readBigUInt64LE(0));
    }
    return nodes;
  }
  const forget = (nodes: readonly bigint[]): Promise<unknown> =>
    Promise.all(nodes.map((node) => small.request(fuse.forget, node, u64s(1n))));
  const code = shareProtocol.noticeForget;
  const toldToForget = { names: { code, body: u32s(0) }, dataToo: { code, body: u32s(1) } };

  beforeEach(async () => {
    mkdirSync(atHost('many'));
    for (let i = 0; i < 450; i++) writeFileSync(atHost('many', `f${String(i)}`), '');
    mkdirSync(atHost('small'));
    small = await FuseClient.start(atHost('small'), maxDescriptors);
    expect(await small.control(`add many rw 0 ${atHost('many')}`)).toBe('ok');
    await small.request(fuse.init, 0n, u32s(7, 37, 1 << 20, 0xffffffff));
    root = (await small.request(fuse.lookup, fuseRoot, names('many'))).body.readBigUInt64LE(0);
  });

  afterEach(async () => {
    expect([await small.end(), small.complaints]).toEqual([0, '']);
  });

  test('is asked to forget names, then data, and names again when it has forgotten enough', async () => {
    const known = await lookUpFiles(0, 99);
    expect(await small.nextNotice()).toEqual(toldToForget.names);
    known.push(...(await lookUpFiles(99, 124)));
    expect(await small.nextNotice()).toEqual(toldToForget.dataToo);
    await forget(known);
    await lookUpFiles(150, 249);
    expect(await small.nextNotice()).toEqual(toldToForget.names);
  });

  test('and does not forget them is refused more, until it has', async () => {
    const known = await lookUpFiles(0, 300);
    const rest = await Promise.all(
      Array.from({ length: 150 }, (_, i) => small.request(fuse.lookup, root, names(`f${String(300 + i)}`))),
    );
    expect(new Set(rest.map(({ error }) => error))).toEqual(new Set([0, -constants.errno.EMFILE]));
    await forget(known);
    await lookUpFiles(300, 450);
  });
});

test.each([0, 39, (1 << 20) + 65_537, 0xffffffff])(
  'a frame that says it has %d bytes ends the server, in order',
  async (length) => {
    const own = join(directory, 'own');
    mkdirSync(own);
    const doomed = await FuseClient.start(own);
    doomed.raw(Buffer.concat([u32s(length, 1), Buffer.alloc(32)]));
    const code = await new Promise((resolve) => doomed.server.once('exit', resolve));
    expect(code).toBe(1);
    expect(doomed.complaints).toMatch(/^fs-server: a request of \d+ bytes from the guest\n$/);
  },
);
