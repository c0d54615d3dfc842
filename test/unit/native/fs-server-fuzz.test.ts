// The file server against a guest that knows the protocol and turns a number here and there: requests of the right form, on files
// that it was told of, many at once. Also streams that are no requests. A few seconds of it; CAISSON_FUZZ_SECONDS for longer, and
// CAISSON_FUZZ_SEED for another.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

import {
  fuse,
  type FuseAnswer,
  FuseClient,
  fuseRoot,
  names,
  u32s,
  u64s,
} from '../../support/guests/fuse-client';
import { makeScratchDir } from '../../support/process/scratch-dir';

const seconds = Number(process.env['CAISSON_FUZZ_SECONDS'] ?? 4);
const seed = Number(process.env['CAISSON_FUZZ_SEED'] ?? 15);
const atOnce = 64;
jest.setTimeout((seconds + 300) * 1000);

/** Further operations, which no other test names. */
const more = {
  readlink: 5, statfs: 17, fsync: 20, listxattr: 23, removexattr: 24, fsyncdir: 30, getlk: 31, access: 34, bmap: 37,
  ioctl: 39, poll: 40, readdirplus: 44, rename2: 45, lseek: 46, statx: 52, tmpfile: 51,
} as const; // prettier-ignore

let directory: string;
let random: () => number;

beforeEach(() => {
  directory = makeScratchDir('fs-server-fuzz');
  for (const name of ['share', 'fixed', 'outside']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'outside', 'secret'), 'untouched');
  writeFileSync(join(directory, 'fixed', 'file'), 'fixed');
  symlinkSync(join(directory, 'outside'), join(directory, 'share', 'way-out'));
  random = numbersFrom(seed);
});

afterEach(() => {
  expect(readFileSync(join(directory, 'outside', 'secret'), 'utf8')).toBe('untouched');
  expect(readdirSync(join(directory, 'outside'))).toEqual(['secret']);
  expect(readFileSync(join(directory, 'fixed', 'file'), 'utf8')).toBe('fixed');
  expect(readdirSync(join(directory, 'fixed'))).toEqual(['file']);
  rmSync(directory, { recursive: true });
});

/** mulberry32: the same numbers from 0 up to 1 for the same seed. */
function numbersFrom(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (limit: number): number => Math.floor(random() * limit);
function pick<T>(from: readonly [T, ...T[]]): T {
  return from[below(from.length)] ?? from[0];
}

/** What the guest was told of, with what it made up; the latest few, so that requests meet. */
class Known<T> {
  readonly #values: T[] = [];
  readonly #odd: () => T;

  /** `odd`: what it was never told of. */
  constructor(odd: () => T) {
    this.#odd = odd;
  }

  add(value: T): void {
    this.#values.push(value);
    if (this.#values.length > 24) this.#values.splice(below(24), 1);
  }

  any(): T {
    if (random() < 0.05) return this.#odd();
    return this.#values[below(this.#values.length)] ?? this.#odd();
  }
}

const odd64 = (): bigint =>
  pick([
    0n,
    1n,
    2n,
    4096n,
    (1n << 31n) - 1n,
    1n << 32n,
    (1n << 63n) - 1n,
    1n << 63n,
    (1n << 64n) - 1n,
    BigInt(below(2 ** 32)),
  ]);
const odd32 = (): number =>
  pick([0, 1, 2, 3, 7, 0o100644, 0o755, 0x7fffffff, 0x80000000, 0xffffffff, below(2 ** 32)]);
const mode = (): number =>
  pick([0o100644, 0o40755, 0o10600, 0o20666, 0o60666, 0o140777, 0o104755, 0o644, odd32()]);
const openFlags = (): number =>
  pick([0, 1, 2, 0o102, 0o1001, 0o2002, 0o40000, 0o200000, 0o20200002, odd32()]);
const offset = (): bigint => pick([0n, 1n, 100n, 4096n, 1n << 20n, odd64()]);
const size = (): number => pick([0, 1, 64, 4096, 1 << 20, (1 << 20) + 65536, odd32()]);
const name = (): string =>
  pick([
    'a',
    'b',
    'c',
    'd',
    'way-out',
    'file',
    '.',
    '..',
    '',
    'a/b',
    '../outside',
    'x'.repeat(255),
    'x'.repeat(256),
    'user.a',
    'trusted.a',
    'security.capability',
    'system.posix_acl_access',
  ]);
const bytes = (): Buffer => Buffer.alloc(pick([0, 1, 8, 20, 64, 4096, 70_000]), below(256));

class HostileGuest {
  readonly #nodes = new Known(odd64);
  readonly #handles = new Known(() => ({ node: this.#nodes.any(), handle: odd64() }));
  answered = 0;
  readonly succeeded = new Set<number>();

  readonly #client: FuseClient;

  constructor(client: FuseClient) {
    this.#client = client;
  }

  learn(node: bigint): void {
    this.#nodes.add(node);
  }

  /** One request, answered. */
  async step(): Promise<void> {
    const file = this.#handles.any();
    const { opcode, body } = this.#request(file.handle);
    const turned = random() < 0.15 ? damaged(body) : body;
    const node = pick([
      file.node,
      file.node,
      this.#nodes.any(),
      this.#nodes.any(),
      pick([fuseRoot, odd64()]),
    ]);
    const answer = await this.#client.request(opcode, node, turned, pick([0, 0, 1000, 0xfffffffe]), below(4)); // as -1 nobody is: that ends the server
    this.answered += 1;
    if (answer.error === 0) this.#take(opcode, node, answer);
  }

  #take(opcode: number, node: bigint, { body }: FuseAnswer): void {
    this.succeeded.add(opcode);
    const tellsNode: number[] = [fuse.lookup, fuse.mknod, fuse.mkdir, fuse.symlink, fuse.link, fuse.create];
    if (tellsNode.includes(opcode)) this.#nodes.add(body.readBigUInt64LE(0));
    if (opcode === fuse.create)
      this.#handles.add({ node: body.readBigUInt64LE(0), handle: body.readBigUInt64LE(128) });
    if (opcode === fuse.open || opcode === fuse.opendir)
      this.#handles.add({ node, handle: body.readBigUInt64LE(0) });
  }

  #request(handle: bigint): { opcode: number; body: Buffer } {
    const other = this.#handles.any();
    const node = this.#nodes.any();
    const lock = Buffer.concat([
      u64s(handle, odd64(), offset(), offset()),
      u32s(below(4), below(4), below(3), 0),
    ]);
    const io = (
      opcode: number,
      data: Buffer = Buffer.alloc(0),
      length = size(),
    ): { opcode: number; body: Buffer } => ({
      opcode,
      body: Buffer.concat([
        u64s(handle, offset()),
        u32s(length, odd32()),
        u64s(odd64()),
        u32s(openFlags(), 0),
        data,
      ]),
    });
    const data = bytes();
    const value = bytes();
    const of = (opcode: number, ...parts: Buffer[]): (() => { opcode: number; body: Buffer }) => {
      return () => ({ opcode, body: Buffer.concat(parts) });
    };
    return pick([
      of(fuse.lookup, names(name())), of(fuse.lookup, names(name())),
      of(fuse.forget, u64s(pick([1n, odd64()]))),
      of(fuse.batchForget, u32s(pick([2, 2, odd32()]), 0), u64s(node, 1n, this.#nodes.any(), 1n)),
      of(fuse.getattr, u32s(below(2), 0), u64s(handle)),
      of(fuse.setattr, u32s(odd32(), 0), u64s(handle, offset(), odd64(), odd64(), odd64(), odd64()), u32s(odd32(), odd32(), odd32(), mode(), 0, pick([0, 1000, odd32()]), pick([0, 1000, odd32()]), 0)),
      of(more.readlink), of(fuse.symlink, names(name(), name())),
      of(fuse.mknod, u32s(mode(), odd32(), 0o22, 0), names(name())),
      of(fuse.mkdir, u32s(mode(), 0), names(name())),
      of(fuse.unlink, names(name())), of(fuse.rmdir, names(name())),
      of(fuse.rename, u64s(node), names(name(), name())),
      of(more.rename2, u64s(node), u32s(pick([0, 1, 2, 4, odd32()]), 0), names(name(), name())),
      of(fuse.link, u64s(node), names(name())),
      of(fuse.open, u32s(openFlags(), odd32())), of(fuse.open, u32s(openFlags(), 0)),
      of(fuse.opendir, u32s(openFlags(), 0)),
      of(fuse.create, u32s(openFlags(), mode(), 0o22, odd32()), names(name())),
      of(more.tmpfile, u32s(openFlags(), mode(), 0o22, 0), names(name())),
      () => io(fuse.read), () => io(fuse.readdir), () => io(more.readdirplus),
      () => io(fuse.write, data, pick([data.length, size()])), () => io(fuse.write, data, data.length),
      of(more.statfs), of(more.access, u32s(below(8), 0)), of(more.bmap, u64s(odd64()), u32s(512, 0)),
      of(fuse.release, u64s(handle), u32s(openFlags(), below(4)), u64s(odd64())),
      of(fuse.releasedir, u64s(handle), u32s(openFlags(), 0), u64s(0n)),
      of(fuse.flush, u64s(handle), u32s(0, 0), u64s(odd64())),
      of(more.fsync, u64s(handle), u32s(below(2), 0)), of(more.fsyncdir, u64s(handle), u32s(below(2), 0)),
      of(fuse.setxattr, u32s(pick([value.length, odd32()]), below(4)), names(name()), value),
      of(fuse.getxattr, u32s(size(), 0), names(name())), of(more.listxattr, u32s(size(), 0)),
      of(more.removexattr, names(name())),
      of(more.getlk, lock), of(fuse.setlk, lock),
      of(fuse.interrupt, u64s(this.#client.next - BigInt(below(20)))),
      of(more.lseek, u64s(handle, offset()), u32s(below(6), 0)),
      of(fuse.fallocate, u64s(handle, pick([0n, odd64()]), BigInt(below(1 << 20))), u32s(odd32(), 0)),
      of(fuse.copyFileRange, u64s(handle, offset(), other.node, other.handle, pick([0n, 4096n]), BigInt(below(1 << 20)), pick([0n, odd64()]))),
      of(more.ioctl, u64s(handle), u32s(odd32(), odd32()), u64s(odd64()), u32s(size(), size())),
      of(more.poll, u64s(handle, odd64()), u32s(odd32(), odd32())),
      of(more.statx, u32s(below(2), 0), u64s(handle), u32s(odd32(), odd32())),
      of(fuse.init, u32s(odd32(), odd32(), odd32(), odd32())),
    ])(); // prettier-ignore
  }
}

/** With a byte turned, cut short, or with more behind it. */
function damaged(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const way = below(3);
  if (way === 0 && copy.length > 0) copy[below(copy.length)] = below(256);
  if (way === 1) return copy.subarray(0, below(copy.length + 1));
  return way === 2 ? Buffer.concat([copy, bytes()]) : copy;
}

async function started(): Promise<FuseClient> {
  const client = await FuseClient.start(directory);
  expect(await client.control(`add rw rw 0 ${join(directory, 'share')}`)).toBe('ok');
  expect(await client.control(`add ro ro 0 ${join(directory, 'fixed')}`)).toBe('ok');
  return client;
}

test('requests of the right form with turned numbers: each is answered once, and nothing is undefined', async () => {
  const client = await started();
  await client.request(fuse.init, 0n, u32s(7, 37, 1 << 20, 0xffffffff));
  const guest = new HostileGuest(client);
  const lookUpShares = async (): Promise<void> => {
    for (const share of ['rw', 'rw', 'ro']) {
      const { error, body } = await client.request(fuse.lookup, fuseRoot, names(share));
      if (error === 0) guest.learn(body.readBigUInt64LE(0));
    }
  };
  const ended = once(client.server, 'exit');
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end && client.server.exitCode === null) {
    await Promise.race([ended, lookUpShares()]);
    await Promise.race([ended, Promise.all(Array.from({ length: atOnce }, () => guest.step()))]);
  }
  expect(client.complaints).toBe('');
  expect(client.strays).toEqual([]);
  expect(await client.end()).toBe(0);
  process.stderr.write(
    `${guest.answered} requests answered; ${[...guest.succeeded].sort((a, b) => a - b).join(' ')} done\n`,
  );
  expect(guest.succeeded.size).toBeGreaterThan(20);
});

test('streams that are no requests end the server, or wait for more of them', async () => {
  const end = Date.now() + (seconds * 1000) / 4;
  for (let round = 0; round < 5 || Date.now() < end; round += 1) {
    rmSync(join(directory, 'fuse.sock'), { force: true });
    rmSync(join(directory, 'control.sock'), { force: true });
    const client = await started();
    for (let part = 0; part < 20; part += 1) {
      const body = bytes();
      const length = pick([40 + body.length, odd32(), below(100), 39, 40]);
      client.raw(
        Buffer.concat([u32s(length, below(60)), u64s(odd64(), odd64()), u32s(0, 0, odd32(), odd32()), body]),
      );
    }
    await client.end();
    expect(client.complaints).not.toMatch(/Sanitizer|runtime error/);
  }
});
