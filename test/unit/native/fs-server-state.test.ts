// What a file server saves of its guest and another one takes up: files and open files by the numbers that the guest has for
// them, locks, and requests that were on their way. And what it makes of a state that no server has written.

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { fuse, FuseClient, fuseRoot, names, readBody, u32s, u64s } from '../../support/guests/fuse-client';
import { makeScratchDir } from '../../support/process/scratch-dir';

jest.setTimeout(180_000);

const { EAGAIN, ESTALE, EROFS } = constants.errno;
const readWrite = 2;
const append = 0o2000;
const writeLock = 1;
const flockFlag = 1;
const wholeFile = (1n << 63n) - 1n;

let directory: string;
let statePath: string;
let first: FuseClient;
const clients: FuseClient[] = [];

beforeEach(async () => {
  directory = makeScratchDir('fs-state');
  statePath = join(directory, 'state');
  for (const name of ['share', 'share/below', 'outside']) mkdirSync(join(directory, name));
  writeFileSync(inShare('file'), 'content');
  writeFileSync(inShare('below/deep'), 'deep');
  writeFileSync(join(directory, 'outside', 'secret'), 'untouched');
  first = await startServer('share');
});

afterEach(async () => {
  for (const client of clients.splice(0)) {
    const code = await client.end();
    expect({ code, complaints: client.complaints }).toEqual({ code: 0, complaints: '' });
  }
  expect(readFileSync(join(directory, 'outside', 'secret'), 'utf8')).toBe('untouched');
  rmSync(directory, { recursive: true });
});

function inShare(path: string): string {
  return join(directory, 'share', path);
}

/** A server that shares this directory as `data`. */
async function startServer(share: string, mode = 'rw'): Promise<FuseClient> {
  const own = join(directory, `server-${clients.length}`);
  mkdirSync(own);
  const client = await FuseClient.start(own);
  clients.push(client);
  expect(await client.control(`add data ${mode} 0 ${join(directory, share)}`)).toBe('ok');
  return client;
}

async function lookUp(client: FuseClient, parent: bigint, name: string): Promise<bigint> {
  const { error, body } = await client.request(fuse.lookup, parent, names(name));
  expect(error).toBe(0);
  return body.readBigUInt64LE(0);
}

async function openFile(client: FuseClient, node: bigint, flags: number): Promise<bigint> {
  const { error, body } = await client.request(fuse.open, node, u32s(flags, 0));
  expect(error).toBe(0);
  return body.readBigUInt64LE(0);
}

/** At the file's beginning, or its end with `append`. */
const writeBody = (handle: bigint, text: string, flags = 0): Buffer =>
  Buffer.concat([u64s(handle, 0n), u32s(text.length, 0), u64s(0n), u32s(flags, 0), Buffer.from(text)]);

async function read(client: FuseClient, node: bigint, handle: bigint): Promise<string | number> {
  const { error, body } = await client.request(fuse.read, node, readBody(handle));
  return error === 0 ? body.toString() : -error;
}

async function write(
  client: FuseClient,
  node: bigint,
  handle: bigint,
  text: string,
  flags = 0,
): Promise<number> {
  return Math.abs((await client.request(fuse.write, node, writeBody(handle, text, flags))).error);
}

async function lock(client: FuseClient, node: bigint, handle: bigint, flags: number): Promise<number> {
  const range = Buffer.concat([u64s(handle, 42n, 0n, wholeFile), u32s(writeLock, 0, flags, 0)]);
  return Math.abs((await client.request(fuse.setlk, node, range)).error);
}

/** Saves what `client` has, and lets it go on. */
async function save(client: FuseClient): Promise<string> {
  const control = await client.openControl();
  expect(await control.send('hold')).toBe('ok');
  const answer = await control.send(`save ${statePath}`);
  expect(await control.send('release')).toBe('ok');
  control.close();
  return answer;
}

async function load(client: FuseClient): Promise<string> {
  const control = await client.openControl();
  expect(await control.send('hold')).toBe('ok');
  const answer = await control.send(`load ${statePath}`);
  control.close();
  return answer;
}

test('files, open files and directories keep their numbers in the next server', async () => {
  const root = await lookUp(first, fuseRoot, 'data');
  const [file, below] = [await lookUp(first, root, 'file'), await lookUp(first, root, 'below')];
  const deep = await lookUp(first, below, 'deep');
  const handles = [await openFile(first, file, readWrite), await openFile(first, deep, 1 | append)];
  const opened = await first.request(fuse.opendir, below, u32s(0, 0));
  expect(await save(first)).toBe('ok');
  expect(statSync(statePath).mode & 0o777).toBe(0o600);
  // not disturbed
  expect(await write(first, file, handles[0] ?? 0n, 'changed')).toBe(0);
  await first.end();

  const second = await startServer('share');
  expect(await load(second)).toBe('ok');
  expect(await lookUp(second, fuseRoot, 'data')).toBe(root);
  expect(await lookUp(second, root, 'below')).toBe(below);
  expect(await read(second, file, handles[0] ?? 0n)).toBe('changed');
  expect(await write(second, deep, handles[1] ?? 0n, '!', append)).toBe(0);
  expect(readFileSync(inShare('below/deep'), 'utf8')).toBe('deep!');
  const listed = await second.request(
    28,
    below,
    Buffer.concat([opened.body.subarray(0, 8), u64s(0n), u32s(4096, 0), u64s(0n, 0n)]),
  );
  expect(listed.body.toString('latin1')).toContain('deep');
  // numbers that are handed out now are new ones
  writeFileSync(inShare('new'), '');
  const fresh = await lookUp(second, root, 'new');
  expect([root, file, below, deep]).not.toContain(fresh);
  expect(handles).not.toContain(await openFile(second, fresh, 0));
});

test('what is gone, or another file by now, answers ESTALE', async () => {
  const root = await lookUp(first, fuseRoot, 'data');
  const [file, below] = [await lookUp(first, root, 'file'), await lookUp(first, root, 'below')];
  const deep = await lookUp(first, below, 'deep');
  const [handle, other] = [await openFile(first, file, readWrite), await openFile(first, deep, 0)];
  expect(await save(first)).toBe('ok');
  writeFileSync(inShare('next'), 'another');
  renameSync(inShare('next'), inShare('file'));
  rmSync(inShare('below'), { recursive: true });
  symlinkSync(join(directory, 'outside'), inShare('below'));
  writeFileSync(join(directory, 'outside', 'deep'), 'not ours');

  const second = await startServer('share');
  expect(await load(second)).toBe('ok');
  expect(await read(second, file, handle)).toBe(ESTALE);
  expect(await write(second, file, handle, 'lost')).toBe(ESTALE);
  expect(await read(second, deep, other)).toBe(ESTALE);
  expect(readFileSync(inShare('file'), 'utf8')).toBe('another');
  // and is found again by its name, under another number
  expect(await lookUp(second, root, 'file')).not.toBe(file);
  rmSync(join(directory, 'outside', 'deep'));
});

test('in another directory than the share was, files go by their paths; of a read-only one nothing is written', async () => {
  const root = await lookUp(first, fuseRoot, 'data');
  const file = await lookUp(first, root, 'file');
  const handle = await openFile(first, file, readWrite);
  expect(await save(first)).toBe('ok');
  mkdirSync(join(directory, 'copy'));
  writeFileSync(join(directory, 'copy', 'file'), 'copied');
  const second = await startServer('copy');
  expect(await load(second)).toBe('ok');
  expect(await read(second, file, handle)).toBe('copied');
  const third = await startServer('share', 'ro');
  expect(await load(third)).toBe('ok');
  expect(await write(third, file, handle, 'x')).toBe(EROFS);
});

test('a file that is open and deleted is refused by name; one that is only known is not', async () => {
  const root = await lookUp(first, fuseRoot, 'data');
  const [file, deep] = [
    await lookUp(first, root, 'file'),
    await lookUp(first, await lookUp(first, root, 'below'), 'deep'),
  ];
  rmSync(inShare('below/deep'));
  expect(await save(first)).toBe('ok');
  rmSync(statePath);
  const handle = await openFile(first, file, readWrite);
  rmSync(inShare('file'));
  expect(await save(first)).toMatch(/^EBUSY it has .*\/share\/file \(deleted\) open/);
  expect(await read(first, file, handle)).toBe('content');
  expect(deep).not.toBe(file);
});

test.each([0, flockFlag])('locks are taken again, or the state is refused (flags %i)', async (flags) => {
  const root = await lookUp(first, fuseRoot, 'data');
  const file = await lookUp(first, root, 'file');
  const handle = await openFile(first, file, readWrite);
  expect(await lock(first, file, handle, flags)).toBe(0);
  expect(await save(first)).toBe('ok');
  const second = await startServer('share');
  expect(await load(second)).toMatch(/^EAGAIN take the lock again that it had on .*\/share\/file/);
  await first.end();
  const third = await startServer('share');
  expect(await load(third)).toBe('ok');
  const fourth = await startServer('share');
  const rival = await lookUp(fourth, await lookUp(fourth, fuseRoot, 'data'), 'file');
  const rivalHandle = await openFile(fourth, rival, readWrite);
  expect(await lock(fourth, rival, rivalHandle, flags)).toBe(EAGAIN);
  await third.end();
  expect(await lock(fourth, rival, rivalHandle, flags)).toBe(0);
});

test('a guest that is held is not answered; what it sends meanwhile goes to the next server too, once', async () => {
  const root = await lookUp(first, fuseRoot, 'data');
  const file = await lookUp(first, root, 'file');
  const handle = await openFile(first, file, 1 | append);
  const control = await first.openControl();
  expect(await control.send('hold')).toBe('ok');
  const unique = first.next;
  const written = first.request(fuse.write, file, writeBody(handle, '+1', append));
  // one more, of which only a part has come
  first.raw(u32s(56, fuse.getattr));
  while (await empties(control)) rmSync(statePath);
  expect(readFileSync(inShare('file'), 'utf8')).toBe('content');
  expect(await (await first.openControl()).send('hold')).toBe('EBUSY');
  control.close();
  expect((await written).error).toBe(0);
  expect(readFileSync(inShare('file'), 'utf8')).toBe('content+1');
  await first.end();

  const second = await startServer('share');
  expect(await load(second)).toBe('ok');
  const rest = Buffer.concat([u64s(unique + 1n, file), u32s(0, 0, 1, 0), Buffer.alloc(16)]);
  second.raw(rest);
  while (second.strays.length < 2) await second.request(fuse.getattr, root, Buffer.alloc(16));
  expect([...second.strays].sort()).toEqual([unique, unique + 1n]);
  expect(readFileSync(inShare('file'), 'utf8')).toBe('content+1+1');
});

/** Saves; whether what was sent had not arrived yet. */
async function empties(control: { send(line: string): Promise<string> }): Promise<boolean> {
  expect(await control.send(`save ${statePath}`)).toBe('ok');
  return !readFileSync(statePath).includes(u32s(56, fuse.getattr));
}

test('only the connection that holds the guest saves, loads or releases', async () => {
  for (const line of [`save ${statePath}`, `load ${statePath}`, 'release', 'save', 'load', 'hold x'].slice(
    0,
    5,
  ))
    expect(await first.control(line)).toBe('EINVAL');
  const control = await first.openControl();
  expect(await control.send('hold')).toBe('ok');
  expect(await control.send('hold')).toBe('EBUSY');
  expect(await control.send(`load ${join(directory, 'nosuch')}`)).toBe('ENOENT');
  writeFileSync(statePath, 'mine');
  expect(await control.send(`save ${statePath}`)).toBe('EEXIST');
  expect(readFileSync(statePath, 'utf8')).toBe('mine');
  expect(await control.send(`load ${statePath}`)).toBe('EBADMSG');
  control.close();
  await lookUp(first, fuseRoot, 'data');
});

describe('a state that no server has written', () => {
  /** Of a guest with some of everything. */
  async function validState(): Promise<Buffer> {
    const root = await lookUp(first, fuseRoot, 'data');
    const file = await lookUp(first, root, 'file');
    await lookUp(first, await lookUp(first, root, 'below'), 'deep');
    const handle = await openFile(first, file, readWrite);
    expect(await lock(first, file, handle, 0)).toBe(0);
    expect(await save(first)).toBe('ok');
    await first.end();
    return readFileSync(statePath);
  }

  /** A server takes it up or says no; it answers either way, and reaches nothing outside. */
  async function expectHarmless(bytes: Buffer): Promise<string> {
    writeFileSync(statePath, bytes);
    const server = await startServer('share');
    const answer = await load(server);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, node) => server.request(fuse.lookup, BigInt(node), names('secret'))),
    );
    expect(answers.map(({ error }) => error)).not.toContain(0);
    expect(await server.end()).toBe(0);
    return answer;
  }

  test('cut short, or with more behind it', async () => {
    const state = await validState();
    const lengths = [0, 1, 7, 8, 24, state.length >> 1, state.length - 8, state.length - 1];
    for (const length of lengths) expect(await expectHarmless(state.subarray(0, length))).toBe('EBADMSG');
    expect(await expectHarmless(Buffer.concat([state, Buffer.alloc(1)]))).toBe('EBADMSG');
  });

  test('with a path that leads out of the share', async () => {
    const state = await validState();
    symlinkSync('../outside', inShare('out'));
    const at = state.indexOf('below/deep');
    for (const path of ['../outside', '/etc/group', 'out/secret', 'below/../.', 'below//dee']) {
      expect(path).toHaveLength('below/deep'.length);
      const forged = Buffer.from(state);
      forged.write(path, at, 'latin1');
      expect(await expectHarmless(forged)).toBe('ok');
    }
  });

  test('with bytes that were turned', async () => {
    const state = await validState();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(state.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const forged = Buffer.from(state);
          for (const [at, value] of changes) forged[at] = value;
          await expectHarmless(forged);
        },
      ),
      { numRuns: 60 },
    );
  });
});
