import * as fc from 'fast-check';
import { appendFileSync, existsSync, readFileSync, readdirSync, truncateSync } from 'node:fs';
import path from 'node:path';
import type { LogLine } from '../../../../src/api/v1.41/backend';
import { ContainerLogStore } from '../../../../src/engine/logs/container-log-store';
import { parseRecords } from '../../../../src/semantics/logs/log-record';
import { readLogBatches } from '../../../../src/engine/logs/log-reader';
import { logLines } from '../../../../src/semantics/logs/log-selection';
import { parseFile, readAll, readText, recordWith, temporaryDirectory, wholeLog } from './support';

const jsonFile = recordWith({ Type: 'json-file', Config: {} });
let directory: string;
let remove: () => void;

beforeEach(() => ({ directory, remove } = temporaryDirectory()));
afterEach(() => remove());

function fileOf(store: ContainerLogStore): string {
  return store.logPath(jsonFile.id, 'json-file');
}

describe('writing', () => {
  test('records have the form of json-file, with the offsets of both streams', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    expect(await writer.append('stdout', Buffer.from('a\tb<&>"\\\n\x01é\n'), 0)).toBe(13);
    expect(await writer.append('stderr', Buffer.from('oops\n'), 0)).toBe(5);
    await writer.close();
    const lines = readFileSync(fileOf(store), 'utf8').split('\n');
    expect(lines[0]).toMatch(
      /^\{"log":"a\\u0009b\\u003c\\u0026\\u003e\\"\\\\\\n","stream":"stdout","time":"[^"]*Z","at":"run1:9:0"\}$/,
    );
    expect(lines[1]).toContain('"log":"\\u0001é\\n"');
    expect(JSON.parse(lines[2] ?? '')).toMatchObject({ log: 'oops\n', stream: 'stderr', at: 'run1:13:5' });
  });

  test('each byte that belongs to no character becomes U+FFFD, as in dockerd', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    const bytes = Buffer.from('e28220ff20eda08020f09f988020e280a8f888808080c0800a', 'hex');
    await writer.append('stdout', bytes, 0);
    await writer.close();
    const text = readFileSync(fileOf(store), 'utf8');
    const bad = '\ufffd';
    expect(text).toContain(`{"log":"${bad.repeat(2)} ${bad} ${bad.repeat(3)} 😀 \\u2028${bad.repeat(7)}\\n"`);
  });

  test('a long line is kept in parts of 16 KiB with one time, and a last one without newline at the end', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    await writer.append('stdout', Buffer.from('x'.repeat(20_000)), 0);
    expect(writer.durableOffset('stdout')).toBe(16_384);
    expect(await writer.append('stdout', Buffer.from('y\npart'), 20_000)).toBe(20_002);
    expect(await writer.end('stdout')).toBe(20_006);
    await writer.close();
    expect(writer.durableOffset('stdout')).toBe(20_006);
    const records = parseFile(readFileSync(fileOf(store), 'utf8'));
    expect(records.map((record) => record.log.length)).toEqual([16_384, 3_618, 4]);
    expect(records[0]?.time).toBe(records[1]?.time);
    expect(records[2]?.log).toBe('part');
  });

  test('chunks may fall anywhere: the text and its records are the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.array(fc.nat(400), { maxLength: 8 }),
        async (content, cuts) => {
          const bytes = Buffer.from([...content].map((byte) => (byte % 7 === 0 ? 10 : byte)));
          const store = new ContainerLogStore(directory, '/no/such');
          const runs: string[] = [];
          for (const points of [[], cuts]) {
            await store.removeLog(jsonFile);
            const writer = await store.openLog(jsonFile, 'r');
            const ends = [...points.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
            let from = 0;
            for (const end of ends) {
              await writer.append('stdout', bytes.subarray(from, end), from);
              from = end;
            }
            await writer.close();
            runs.push(readFileSync(fileOf(store), 'utf8').replace(/"time":"[^"]*"/g, ''));
          }
          expect(runs[1]).toBe(runs[0]);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('times are in order and have nanoseconds', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'r');
    await writer.append('stdout', Buffer.from('a\nb\n'), 0);
    await writer.append('stdout', Buffer.from('c\n'), 4);
    await writer.close();
    const text = await readText(store.source(jsonFile), { timestamps: true });
    const times = text
      .trim()
      .split('\n')
      .map((line) => line.slice(0, 30));
    expect(times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(time))).toBe(true);
    expect([...times].sort()).toEqual(times);
    expect(new Set(times).size).toBe(3);
  });

  test('200,000 lines are read as they were written', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'r');
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join(''));
    const writes: Promise<number>[] = [];
    for (let at = 0; at < bytes.length; at += 65_536) {
      writes.push(writer.append('stdout', bytes.subarray(at, at + 65_536), at));
    }
    await Promise.all(writes);
    await writer.close();
    expect(await readText(store.source(jsonFile))).toBe(bytes.toString());
  }, 60_000);
});

describe('re-opening after a crash', () => {
  test('a half-written record is cut off and the offsets of the same run are found', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    await writer.append('stdout', Buffer.from('one\ntwo\nthr'), 0);
    await writer.append('stderr', Buffer.from('err\n'), 0);
    const whole = readFileSync(fileOf(store));
    appendFileSync(fileOf(store), '{"log":"torn');

    const next = await new ContainerLogStore(directory, '/no/such').openLog(jsonFile, 'run1');
    expect(readFileSync(fileOf(store))).toEqual(whole);
    expect([next.durableOffset('stdout'), next.durableOffset('stderr')]).toEqual([8, 4]);
    // The guest sends again what was not acknowledged.
    await next.append('stdout', Buffer.from('two\nthree\n'), 4);
    await next.close();
    expect(await readText(store.source(jsonFile))).toBe('one\ntwo\nerr\nthree\n');
    await writer.close();
  });

  test('cut after any byte, every line is there exactly once', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    const sent = Buffer.from('a\nbb\n\nccc\n');
    await writer.append('stdout', sent, 0);
    await writer.close();
    const file = fileOf(store);
    const whole = readFileSync(file);
    for (let size = 0; size <= whole.length; size += 7) {
      truncateSync(file, 0);
      appendFileSync(file, whole.subarray(0, size));
      const again = await new ContainerLogStore(directory, '/no/such').openLog(jsonFile, 'run1');
      await again.append('stdout', sent, 0);
      await again.close();
      expect(await readText(store.source(jsonFile))).toBe(sent.toString());
    }
  });

  test('another run starts at 0 behind the old lines', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    for (const run of ['run1', 'run2']) {
      const writer = await store.openLog(jsonFile, run);
      expect(writer.durableOffset('stdout')).toBe(0);
      await writer.append('stdout', Buffer.from(`${run}\n`), 0);
      await writer.close();
    }
    expect(await readText(store.source(jsonFile))).toBe('run1\nrun2\n');
  });

  test('bytes that someone cut out of the log do not stop it', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'run1');
    expect(await writer.append('stdout', Buffer.from('later\n'), 100)).toBe(106);
    await writer.close();
    expect(await readText(store.source(jsonFile))).toBe('later\n');
  });
});

describe('rotation', () => {
  const rotating = (config: Record<string, string>) => recordWith({ Type: 'json-file', Config: config });
  const write = async (store: ContainerLogStore, record: typeof jsonFile, lines: string[]) => {
    const writer = await store.openLog(record, 'r');
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    await writer.append('stdout', bytes, 0);
    await writer.close();
  };
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}`);

  test.each(['false', 'true'])(
    'keeps max-file files and reads them in order (compress=%s)',
    async (compress) => {
      const record = rotating({ 'max-size': '1k', 'max-file': '3', compress });
      const store = new ContainerLogStore(directory, '/no/such');
      await write(store, record, numbers(40));
      const names = readdirSync(path.dirname(fileOf(store))).map((name) => name.slice(64));
      const suffix = compress === 'true' ? '.gz' : '';
      expect(names.sort()).toEqual(['-json.log', `-json.log.1${suffix}`, `-json.log.2${suffix}`]);
      const text = await readText(store.source(record));
      expect(text.endsWith('line 38\nline 39\n')).toBe(true);
      expect(text.split('\n').length).toBeGreaterThan(20);
      expect(await readText(store.source(record), { tail: 15 })).toBe(
        numbers(40)
          .slice(-15)
          .map((line) => `${line}\n`)
          .join(''),
      );
    },
  );

  test('one file alone starts anew', async () => {
    const record = rotating({ 'max-size': '1k' });
    const store = new ContainerLogStore(directory, '/no/such');
    await write(store, record, numbers(40));
    expect(readdirSync(path.dirname(fileOf(store)))).toHaveLength(1);
    expect((await readText(store.source(record))).endsWith('line 39\n')).toBe(true);
  });

  test('a follower loses no line to rotations', async () => {
    const record = rotating({ 'max-size': '1k', 'max-file': '4' });
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(record, 'r');
    const followed = readText(store.source(record), { follow: true });
    let offset = 0;
    for (const line of numbers(100)) {
      offset = await writer.append('stdout', Buffer.from(`${line}\n`), offset);
    }
    await writer.close();
    expect(await followed).toBe(
      numbers(100)
        .map((line) => `${line}\n`)
        .join(''),
    );
  });

  test('offsets survive a crash right after a rotation', async () => {
    const record = rotating({ 'max-size': '300', 'max-file': '2' });
    const store = new ContainerLogStore(directory, '/no/such');
    await write(store, record, numbers(10));
    truncateSync(fileOf(store), 0);
    const writer = await new ContainerLogStore(directory, '/no/such').openLog(record, 'r');
    expect(writer.durableOffset('stdout')).toBeGreaterThan(0);
    await writer.close();
  });
});

describe('reading', () => {
  async function threeLines(store: ContainerLogStore): Promise<void> {
    const writer = await store.openLog(jsonFile, 'r');
    await writer.append('stdout', Buffer.from('1\n2\n'), 0);
    await writer.append('stderr', Buffer.from('e\n'), 0);
    await writer.close();
  }

  test('tail counts records of both streams, before the choice of streams', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    await threeLines(store);
    const source = store.source(jsonFile);
    expect(await readText(source, { tail: 2 })).toBe('2\ne\n');
    expect(await readText(source, { tail: 0 })).toBe('');
    expect(await readText(source, { tail: 9 })).toBe('1\n2\ne\n');
    expect(await readText(source, { tail: 2, streams: new Set(['stderr']) })).toBe('e\n');
    expect((await readAll(source)).map((line) => line.stream)).toEqual(['stdout', 'stdout', 'stderr']);
  });

  test('since and until include the line of that very time', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    await threeLines(store);
    const source = store.source(jsonFile);
    const file = fileOf(store);
    const records = parseFile(readFileSync(file, 'utf8'));
    records.forEach((record, index) => (record.time = `2024-01-01T00:00:0${index}.5Z`));
    truncateSync(file, 0);
    appendFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const at = (seconds: number) => Date.parse('2024-01-01T00:00:00Z') + seconds * 1000;
    expect(await readText(source, { sinceMs: at(1.5) })).toBe('2\ne\n');
    expect(await readText(source, { untilMs: at(1.5) })).toBe('1\n2\n');
    expect(await readText(source, { sinceMs: at(0.6), untilMs: at(2.4) })).toBe('2\n');
  });

  test('lines that are no record are left out', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    await threeLines(store);
    appendFileSync(
      fileOf(store),
      'garbage\n{"log":1}\n{"log":"ok\\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}\ntorn',
    );
    expect(await readText(store.source(jsonFile))).toBe('1\n2\ne\nok\n');
  });

  test('details show the attributes that the options name', async () => {
    const record = recordWith({
      Type: 'json-file',
      Config: { tag: '{{.Name}}/{{.ID}}/{{.ImageID}} x&y', labels: 'a,b', env: 'FOO' },
    });
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(record, 'r');
    await writer.append('stdout', Buffer.from('hi\n'), 0);
    await writer.close();
    expect(await readText(store.source(record), { details: true })).toBe(
      'FOO=bar,a=1,b=x%3Dy+z%2C,tag=web%2Fcccccccccccc%2Fsha256%3A11111+x%26y hi\n',
    );
  });

  test('a follower ends with the run, an aborted one at once', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'r');
    await writer.append('stdout', Buffer.from('first\n'), 0);
    const abort = new AbortController();
    const options = { ...wholeLog, follow: true };
    const lines = logLines(readLogBatches(store.source(jsonFile), options, abort.signal))[
      Symbol.asyncIterator
    ]();
    expect(lineText(await lines.next())).toBe('first\n');
    const second = lines.next();
    await writer.append('stdout', Buffer.from('second\n'), 6);
    expect(lineText(await second)).toBe('second\n');
    const third = lines.next();
    abort.abort();
    expect((await third).done).toBe(true);

    const followed = readText(store.source(jsonFile), { follow: true, tail: 0 });
    await writer.append('stdout', Buffer.from('no newline'), 13);
    await writer.close();
    expect(await followed).toBe('no newline');
    // Without a run there is nothing to wait for.
    expect(await readText(store.source(jsonFile), { follow: true, tail: 1 })).toBe('no newline');
  });

  test('a follower reads to the end of a log that is removed', async () => {
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(jsonFile, 'r');
    const followed = readText(store.source(jsonFile), { follow: true });
    void writer.append('stdout', Buffer.from('last words\n'), 0);
    await store.removeLog(jsonFile);
    expect(await followed).toBe('last words\n');
    expect(existsSync(fileOf(store))).toBe(false);
  });
});

function lineText(result: IteratorResult<LogLine>): string | undefined {
  return result.done === true ? undefined : result.value.data.toString();
}

describe('drivers', () => {
  test('none keeps nothing and cannot be read', async () => {
    const record = recordWith({ Type: 'none', Config: {} });
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(record, 'r');
    expect(await writer.append('stdout', Buffer.from('x\n'), 0)).toBe(2);
    await writer.close();
    expect(() => store.source(record)).toThrow('configured logging driver does not support reading');
  });

  test('local is readable, and its path is not told', async () => {
    const record = recordWith({ Type: 'local', Config: {} });
    const store = new ContainerLogStore(directory, '/no/such');
    const writer = await store.openLog(record, 'r');
    await writer.append('stdout', Buffer.from('x\n'), 0);
    await writer.close();
    expect(await readText(store.source(record))).toBe('x\n');
    expect(store.logPath(record.id, 'local')).toBe('');
    await store.removeLog(record);
    expect(await readText(store.source(record))).toBe('');
  });
});

describe('records', () => {
  test('the fast parser and the JSON parser agree on every text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.boolean(),
        (text, complete, withAttributes) => {
          const record = {
            log: complete ? `${text}\n` : text,
            stream: complete ? ('stdout' as const) : ('stderr' as const),
            ...(withAttributes ? { attrs: { a: '","stream":"' } } : {}),
            time: '2024-01-01T00:00:00.5Z',
          };
          const [parsed] = parseRecords(`${JSON.stringify(record)}\n`);
          expect(parsed).toEqual(record);
        },
      ),
    );
  });

  test.each([
    '{"log":"a","stream":"stdout","time":"x"',
    '{"log":"a","stream":"nowhere","time":"x"}',
    '{"log":"a"}',
    '',
  ])('%s is none', (line) => expect(parseRecords(`${line}\n`)).toEqual([]));
});
