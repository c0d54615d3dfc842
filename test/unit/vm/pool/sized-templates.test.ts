import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Template } from '../../../../src/vm/qemu/template';
import { SizedTemplates, type SizedTemplatesParts } from '../../../../src/vm/pool/sized-templates';
import { makeScratchDir } from '../../../support/process/scratch-dir';

/** Keys are the memory's size, in as many digits as a key has. */
const keyOf = ({ memoryBytes }: { memoryBytes: number }): string => String(memoryBytes).padStart(24, '0');
const usual = keyOf({ memoryBytes: 1 });
let dir: string;
let makings: { memoryBytes: number; finish: (error?: Error) => void; signal: AbortSignal }[];

jest.mock('../../../../src/vm/qemu/template', () => ({
  templateKey: (machine: { memoryBytes: number }) => Promise.resolve(keyOf(machine)),
  findTemplate: (_: unknown, key: string) =>
    Promise.resolve(readdirSync(dir).includes(key) ? ({ key } as Template) : undefined),
  removeTemplateDir: (_: unknown, key: string) => {
    rmSync(join(dir, key), { recursive: true, force: true });
    return Promise.resolve();
  },
  templateSize: (_: unknown, key: string) =>
    Promise.resolve(
      /^0*[2-9]$/.test(key)
        ? {
            resources: { memoryBytes: Number(key), cpus: 2 },
            usedMs: statSync(join(dir, key, 'state')).mtimeMs,
          }
        : undefined,
    ),
  makeTemplate: async (
    _settings: unknown,
    _source: unknown,
    key: string,
    { memoryBytes }: { memoryBytes: number },
    { signal }: { signal: AbortSignal },
  ) => {
    mkdirSync(join(dir, key));
    await new Promise<void>((resolve, reject) => {
      const finish = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      signal.addEventListener('abort', () => finish(new Error('given up')));
      makings.push({ memoryBytes, finish, signal });
    });
    writeFileSync(join(dir, key, 'state'), '');
    return { key };
  },
}));

beforeEach(() => {
  dir = makeScratchDir('sized-templates');
  makings = [];
  mkdirSync(join(dir, usual));
});
afterEach(() => rmSync(dir, { recursive: true }));

function sized(limit = 2): SizedTemplates {
  return new SizedTemplates({
    settings: {} as SizedTemplatesParts['settings'],
    source: { templatesDir: dir, guestDir: '', gid: undefined },
    key: usual,
    machine: { memoryBytes: 1, cpus: 2 } as SizedTemplatesParts['machine'],
    limit,
    slot: 1,
  });
}

const size = (memoryBytes: number) => ({ memoryBytes, cpus: 2 });
const turn = (): Promise<void> => new Promise(setImmediate);

/** What two boots of a size lead to. */
async function make(templates: SizedTemplates, memoryBytes: number): Promise<void> {
  templates.booted(size(memoryBytes));
  templates.booted(size(memoryBytes));
  await turn();
  makings.pop()?.finish();
  await turn();
  await turn();
}

test('a size that is booted a second time gets a template, and no other one meanwhile', async () => {
  const templates = sized();
  templates.booted(size(2));
  await turn();
  expect(makings).toEqual([]);
  templates.booted(size(2));
  await turn();
  expect(makings).toMatchObject([{ memoryBytes: 2 }]);
  expect(await templates.find(size(2))).toBeUndefined();
  templates.booted(size(3));
  templates.booted(size(3));
  await turn();
  expect(makings).toHaveLength(1);
  makings[0]!.finish();
  await turn();
  await turn();
  expect(await templates.find(size(2))).toEqual({ key: keyOf(size(2)) });
  expect(templates.list()).toEqual([size(2)]);
});

test('one that fails leaves nothing, and is tried again', async () => {
  const templates = sized();
  templates.booted(size(2));
  templates.booted(size(2));
  await turn();
  makings[0]!.finish(new Error('no memory'));
  await turn();
  await turn();
  expect(readdirSync(dir)).toEqual([usual]);
  await make(templates, 2);
  expect(templates.list()).toEqual([size(2)]);
});

test('the one that was of no use for longest makes room', async () => {
  const templates = sized();
  await make(templates, 2);
  await make(templates, 3);
  await templates.find(size(2));
  await make(templates, 4);
  expect(templates.list()).toEqual([size(2), size(4)]);
  expect(readdirSync(dir).sort()).toEqual([usual, keyOf(size(2)), keyOf(size(4))]);
});

test('the next daemon finds them, and removes what is too many or half-made', async () => {
  await make(sized(), 2);
  await make(sized(), 3);
  mkdirSync(join(dir, 'f'.repeat(24)));
  const next = sized(1);
  await next.recover();
  expect(next.list()).toHaveLength(1);
  expect(readdirSync(dir)).toHaveLength(2);
});

test('with the limit 0 there are none', async () => {
  const templates = sized(0);
  await make(templates, 2);
  expect(readdirSync(dir)).toEqual([usual]);
});

test('the end of the daemon gives up what is under way', async () => {
  const templates = sized();
  templates.booted(size(2));
  templates.booted(size(2));
  await turn();
  await templates.stop();
  expect(makings[0]!.signal.aborted).toBe(true);
  expect(readdirSync(dir)).toEqual([usual]);
});
