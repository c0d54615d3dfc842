// What the web page does without a browser.

import type { ContainerSummary, DiskUsage, EventMessage, NetworkInspect } from '../../../src/docker/types';
import { plainText, segments } from '../../../web/src/logic/ansi';
import { contrast, logBackground, paletteColour, readable } from '../../../web/src/logic/colour';
import { buildTree, commandOf } from '../../../web/src/logic/build-tree';
import { parentOf, parseList, sortEntries } from '../../../web/src/logic/file-list';
import {
  ago,
  bytes,
  clip,
  duration,
  memory,
  nameOf,
  percent,
  shortDuration,
  timeOf,
} from '../../../web/src/logic/format';
import { FrameReader, LineReader } from '../../../web/src/logic/frames';
import { LogBuffer } from '../../../web/src/logic/log-buffer';
import { Progress } from '../../../web/src/logic/progress';
import { createBody, emptyForm, quoted, runLine, sizeOf, words } from '../../../web/src/logic/run-line';
import { latest, summed, withNetwork } from '../../../web/src/logic/measures';
import { pullNames } from '../../../web/src/logic/image-names';
import { usageOf } from '../../../web/src/logic/disk-usage';
import { TarReader, tarAround, type TarEntry } from '../../../web/src/logic/tar';
import { isBad, isExec, timeline, withEvent } from '../../../web/src/logic/timeline';
import { topology } from '../../../web/src/logic/topology';
import { treemap } from '../../../web/src/logic/treemap';
import { wrapped } from '../../../web/src/logic/wrap';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 kB'],
  [1_230_000, '1.23 MB'],
  [999_999, '1 MB'],
  // no digit of a whole number is taken for one of its fraction
  [200_000_000, '200 MB'],
  [280_000, '280 kB'],
  [20_000_000_000, '20 GB'],
  [25_300_000_000, '25.3 GB'],
  [-1500, '−1.5 kB'],
  [Number.NaN, '–'],
])('%p bytes are %s', (count, text) => expect(bytes(count)).toBe(text));

test.each([
  [802_816, '784 KiB'],
  [134_217_728, '128 MiB'],
  [2_428_928, '2.316 MiB'],
  [8_339_234_816, '7.767 GiB'],
  [1_073_741_824, '1 GiB'],
  [undefined, '–'],
])('%p bytes of memory are %s', (count, text) => expect(memory(count)).toBe(text));

test('durations and times', () => {
  expect([0.4, 1, 61, 7200, 86_400 * 400].map(duration)).toEqual([
    'less than a second',
    '1 second',
    '1 minute',
    '2 hours',
    '1 year',
  ]);
  expect([340, 1200, 200_000].map(shortDuration)).toEqual(['340 ms', '1.2 s', '3 min 20 s']);
  expect(ago(timeOf('0001-01-01T00:00:00Z'))).toBe('never');
  expect(ago(1000, 4500)).toBe('3 seconds ago');
  expect([percent(0.04), percent(9.96), percent(99.6)]).toEqual(['0 %', '10 %', '100 %']);
  expect(nameOf(['/other/alias', '/own'])).toBe('own');
  expect(clip('x'.repeat(300))).toHaveLength(200);
});

describe('frames and lines', () => {
  const frame = (stream: number, text: string): Uint8Array => {
    const data = Buffer.from(text);
    const header = Buffer.alloc(8);
    header.writeUInt8(stream, 0);
    header.writeUInt32BE(data.length, 4);
    return Buffer.concat([header, data]);
  };

  test('however they are cut', () => {
    const all = Buffer.concat([frame(1, 'one\ntw'), frame(2, 'bad\n'), frame(1, 'o\n')]);
    for (let size = 1; size < all.length; size++) {
      const reader = new FrameReader(false);
      const lines = { stdout: new LineReader(), stderr: new LineReader() };
      const found: string[] = [];
      for (let at = 0; at < all.length; at += size) {
        for (const { stream, data } of reader.read(all.subarray(at, at + size)))
          found.push(...lines[stream].read(data));
      }
      expect(found.sort()).toEqual(['bad', 'one', 'two']);
    }
  });

  test('letters of several bytes, lines without an end, lines that are too long', () => {
    const reader = new LineReader(10);
    const euro = Buffer.from('€\n');
    expect(reader.read(euro.subarray(0, 1))).toEqual([]);
    expect(reader.read(euro.subarray(1))).toEqual(['€']);
    expect(reader.read(Buffer.from('x'.repeat(12)))).toEqual(['x'.repeat(12)]);
    expect(reader.read(Buffer.from('end'))).toEqual([]);
    expect(reader.end()).toEqual(['end']);
  });
});

test('escape sequences become classes, all others go', () => {
  expect(segments('\u001b[1;31mbad\u001b[0m \u001b[92mgood\u001b[K')).toEqual([
    { text: 'bad', classes: 'fg1 bold' },
    { text: ' ', classes: '' },
    { text: 'good', classes: 'fg10' },
  ]);
  expect(segments('10%\r50%\r100%\r')).toEqual([{ text: '100%', classes: '' }]);
  expect(plainText('\u001b]0;title\u0007\u001b[38;5;9mx\u001b[38;2;1;2;3my\u0000')).toBe('xy');
  expect(segments('\u001b[38;5;9mx')).toEqual([{ text: 'x', classes: 'fg9' }]);
  // of more colours than sixteen as many as can be read
  expect(segments('\u001b[38;5;208mo\u001b[48;2;255;255;0my\u001b[0;38;2;0;0;60md')).toEqual([
    { text: 'o', classes: '', style: { color: 'rgb(255 135 0)' } },
    { text: 'y', classes: '', style: { color: expect.any(String), backgroundColor: 'rgb(255 255 0)' } },
    { text: 'd', classes: '', style: { color: expect.any(String) } },
  ]);
  expect(segments('\u001b[38;2;300;0;0mx\u001b[38;5mz')).toEqual([
    { text: 'x', classes: '' },
    { text: 'z', classes: 'fg0' },
  ]);
  for (let index = 16; index < 256; index++)
    for (const on of [logBackground, paletteColour(index)])
      expect(contrast(readable(paletteColour(271 - index), on), on)).toBeGreaterThanOrEqual(4.5);
  expect(segments('<b>&amp;')).toEqual([{ text: '<b>&amp;', classes: '' }]);
});

describe('LogBuffer', () => {
  test('takes the time off, filters by text, stream and time', () => {
    const buffer = new LogBuffer();
    buffer.add('stdout', '2026-01-01T00:00:00.000000001Z first');
    buffer.add('stderr', '2026-01-01T00:01:00Z \u001b[31mSecond');
    buffer.add('stdout', 'no time');
    expect(buffer.shown.map(({ time, text }) => [time, text])[0]).toEqual([
      '2026-01-01T00:00:00.000000001Z',
      'first',
    ]);
    buffer.filter = { text: 'SECOND', streams: 'both' };
    expect(buffer.shown).toHaveLength(1);
    buffer.filter = { text: '', streams: 'stdout' };
    expect(buffer.shown).toHaveLength(2);
    buffer.filter = { text: '', streams: 'both', since: Date.parse('2026-01-01T00:00:30Z') };
    buffer.add('stdout', '2026-01-01T00:02:00Z third');
    expect(buffer.shown.map(({ number }) => number)).toEqual([1, 3]);
  });

  test('keeps as many as the limit, and counts those that went', () => {
    const buffer = new LogBuffer(100);
    for (let line = 0; line < 10_200; line++) buffer.add('stdout', `line ${line}`);
    expect(buffer.length).toBeLessThanOrEqual(10_100);
    expect(buffer.length + buffer.dropped).toBe(10_200);
    expect(buffer.all.at(-1)?.text).toBe('line 10199');
  });

  test('gone on with, it takes no line twice', () => {
    const buffer = new LogBuffer();
    const lines = ['2026-01-01T00:00:00.100000000Z a', '2026-01-01T00:00:00.200000000Z b'];
    for (const line of [...lines, 'without a time']) buffer.add('stdout', line);
    const known = buffer.lastTime;
    for (const line of [...lines, '2026-01-01T00:00:00.200000001Z c']) buffer.add('stdout', line, known);
    expect(buffer.all.map(({ text }) => text)).toEqual(['a', 'b', 'without a time', 'c']);
  });
});

test('wrapped lines: rows by columns, gone on with where lines are added', () => {
  const buffer = new LogBuffer();
  for (const text of ['', 'x'.repeat(10), 'x'.repeat(11), '漢'.repeat(6)]) buffer.add('stdout', text);
  const layout = wrapped(buffer.shown, 10);
  expect(layout.total).toBe(1 + 1 + 2 + 2);
  expect([0, 1, 2, 3, 4, 5, 9].map((row) => layout.lineAt(row))).toEqual([0, 1, 2, 2, 3, 3, 3]);
  expect(layout.rowOf(3)).toBe(4);
  buffer.add('stdout', 'more');
  expect(wrapped(buffer.shown, 10, layout).total).toBe(7);
  expect(wrapped(buffer.shown, 5, layout).total).toBe(1 + 2 + 3 + 3 + 1);
  // a filter's list may begin with the same line, and is another one
  const other = new LogBuffer();
  for (const text of ['more', 'x'.repeat(11), 'more']) other.add('stdout', text);
  other.filter = { text: 'more', streams: 'both' };
  const some = wrapped(other.shown, 10);
  other.filter = { text: '', streams: 'both' };
  expect(wrapped(other.shown, 10, some).total).toBe(1 + 2 + 1);
});

describe('docker run', () => {
  test('words and quotes are the inverse of each other', () => {
    for (const list of [
      ['a', ''],
      ["it's", '"x"', '$HOME', 'a b', 'ä', '\\'],
      ['-c', 'echo "$1"; true'],
    ]) {
      expect(words(list.map(quoted).join(' '))).toEqual(list);
    }
    expect(words('sh -c "a \\"b\\" \\n" x\\ y')).toEqual(['sh', '-c', 'a "b" \\n', 'x y']);
    expect(() => words("'")).toThrow('has no end');
  });

  test('the line and the body of a form', () => {
    const form = {
      ...emptyForm,
      image: 'app:1',
      name: 'web',
      command: "sh -c 'sleep 1'",
      ports: ['127.0.0.1:8080:80', '53/udp', ''],
    };
    const more = {
      volumes: ['data:/data'],
      environment: ['A=b c'],
      memory: '512m',
      cpus: '1.5',
      restart: 'always',
      network: 'shop',
    };
    expect(runLine({ ...form, ...more })).toBe(
      "docker run -d --name web --network shop -p 127.0.0.1:8080:80 -p 53/udp -v data:/data -e 'A=b c' --memory 512m --cpus 1.5 --restart always app:1 sh -c 'sleep 1'",
    );
    expect(createBody({ ...form, ...more })).toMatchObject({
      Image: 'app:1',
      Cmd: ['sh', '-c', 'sleep 1'],
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      HostConfig: {
        PortBindings: {
          '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }],
          '53/udp': [{ HostIp: '', HostPort: '' }],
        },
        Memory: 512 * 1024 ** 2,
        NanoCpus: 1.5e9,
        RestartPolicy: { Name: 'always', MaximumRetryCount: 0 },
      },
    });
  });

  test.each([
    [{ image: '' }, 'an image is wanted'],
    [{ image: 'a', ports: ['x'] }, 'x is no port'],
    [{ image: 'a', memory: 'much' }, 'much is no size'],
    [{ image: 'a', cpus: 'two' }, 'two is no number'],
  ])('%j is refused', (more, message) =>
    expect(() => createBody({ ...emptyForm, ...more })).toThrow(message),
  );

  test.each([
    ['10', 10],
    ['1k', 1024],
    ['1.5GiB', 1.5 * 1024 ** 3],
  ])('%s', (text, size) => expect(sizeOf(text)).toBe(size));
});

describe('tar', () => {
  const roundTrip = (name: string, text: string, step: number): { entries: TarEntry[]; data: string } => {
    const { header, tail } = tarAround(name, Buffer.byteLength(text), 1_700_000_000);
    const all = Buffer.concat([header, Buffer.from(text), tail]);
    const entries: TarEntry[] = [];
    let data = '';
    const reader = new TarReader(
      (entry) => entries.push(entry),
      (part) => (data += Buffer.from(part).toString('latin1')),
    );
    for (let at = 0; at < all.length; at += step) reader.read(all.subarray(at, at + step));
    return { entries, data };
  };

  test.each(['a.txt', `${'ä'.repeat(90)}.txt`, 'line\nbreak <b>'])(
    'a file called %j comes out as it went in',
    (name) => {
      for (const step of [1, 511, 512, 4096]) {
        const { entries, data } = roundTrip(name, 'contents'.repeat(100), step);
        expect(entries).toEqual([
          expect.objectContaining({ name, size: 800, mode: 0o644, mtime: 1_700_000_000, type: 'file' }),
        ]);
        expect(data).toBe('contents'.repeat(100));
      }
    },
  );

  test('a header that says it is endless is refused', () => {
    const { header } = tarAround('ä'.repeat(90), 1, 0);
    header.set(Buffer.from('77777777777'), 124);
    expect(() => new TarReader(() => undefined).read(header)).toThrow('too large');
  });
});

test('a directory as a command tells it, with names that try to be others', () => {
  const text = '/81a4 5 1700000000 ./a b\n/41ed 4096 1 ./dir\n/81a4 1 1 ./two\nlines\n/a1ff 3 1 ./link\n//\n';
  expect(
    sortEntries(parseList(text) ?? []).map(({ name, type, mode }) => [name, type, mode.toString(8)]),
  ).toEqual([
    ['dir', 'directory', '755'],
    ['a b', 'file', '644'],
    ['link', 'symlink', '777'],
    ['two\nlines', 'file', '644'],
  ]);
  expect(parseList('sh: find: not found')).toBeUndefined();
  expect(parseList('//\n')).toEqual([]);
  expect(['/a/b', '/a', '/', '/a/b/'].map(parentOf)).toEqual(['/a', '/', '/', '/a']);
});

test('a treemap: areas as the weights, all within, none over another', () => {
  const weights = [6, 6, 4, 3, 2, 2, 1, 0];
  const boxes = treemap(weights, { x: 0, y: 0, width: 600, height: 400 });
  const total = 25;
  boxes.forEach(({ x, y, width, height }, index) => {
    expect(width * height).toBeCloseTo((Math.max(1, weights[index] ?? 1) / total) * 240_000, 3);
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x + width).toBeLessThanOrEqual(600.001);
    expect(y + height).toBeLessThanOrEqual(400.001);
  });
  expect(treemap([], { x: 0, y: 0, width: 1, height: 1 })).toEqual([]);
  expect(treemap([0, 0], { x: 0, y: 0, width: 0, height: 10 })).toHaveLength(2);
});

test('progress by layer', () => {
  const progress = new Progress();
  progress.add({ status: 'Pulling from library/x', id: 'latest' });
  progress.add({ status: 'Downloading', id: 'aaaaaaaaaaaa', progressDetail: { current: 5, total: 10 } });
  progress.add({ status: 'Verifying Checksum', id: 'aaaaaaaaaaaa' });
  expect(progress.layers).toEqual([{ id: 'aaaaaaaaaaaa', status: 'Verifying Checksum', share: 0.5 }]);
  progress.add({ status: 'Pull complete', id: 'aaaaaaaaaaaa' });
  expect(progress.layers[0]?.share).toBe(1);
  progress.add({ error: 'no', errorDetail: { message: 'no' } });
  expect([progress.text, progress.error]).toEqual(['Pulling from library/x', 'no']);
});

test('the steps of a build as a tree of stages', () => {
  const names = [
    '[internal] load build definition from Dockerfile',
    '[tools 1/2] FROM docker.io/library/debian',
    '[tools 2/2] RUN make',
    '[docs 2/2] RUN doc',
    '[stage-2 2/4] COPY --from=tools /a /a',
    '[stage-2 3/4] COPY --from=docs /b /b',
    '[stage-2 4/4] RUN [ -e /a ]',
    'exporting to image',
    '',
  ];
  const inputs = [[], [], [1], [1], [1, 2], [4, 3], [5], [6], []];
  const tree = buildTree(names.map((name, index) => ({ name, inputs: inputs[index] ?? [] })));
  expect(tree).toEqual([
    { name: 'preparation', steps: [0], needs: [], also: [] },
    { name: 'result', steps: [7], needs: [expect.objectContaining({ name: 'stage-2' })], also: [] },
  ]);
  const [stage] = tree[1]?.needs ?? [];
  expect(stage).toEqual({
    name: 'stage-2',
    steps: [4, 5, 6],
    needs: [
      { name: 'tools', steps: [1, 2], needs: [], also: [] },
      { name: 'docs', steps: [3], needs: [], also: [] },
    ],
    also: [],
  });
  expect(commandOf(names[6] ?? '')).toBe('RUN [ -e /a ]');
  // a circle is no build: everything is shown, once
  const circle = buildTree([
    { name: '[a 1/1] RUN a', inputs: [1] },
    { name: '[b 1/1] RUN b', inputs: [0] },
  ]);
  expect(circle).toEqual([
    { name: 'a', steps: [0], needs: [{ name: 'b', steps: [1], needs: [], also: ['a'] }], also: [] },
  ]);
});

test('events over time', () => {
  const event = (time: number, Action: string, exitCode?: string) => ({
    time,
    Action,
    Actor: { ID: 'c', Attributes: exitCode === undefined ? {} : { exitCode } },
  });
  const events = [event(1000, 'start'), event(4599, 'die', '1'), event(4600, 'die', '0')];
  expect(timeline(events, 4600, 4)).toEqual([
    { from: 1000, count: 1, bad: 0 },
    { from: 1900, count: 0, bad: 0 },
    { from: 2800, count: 0, bad: 0 },
    { from: 3700, count: 2, bad: 1 },
  ]);
  expect(timeline([], 4600, 2).map(({ from }) => from)).toEqual([1000, 2800]);
  expect([isExec(event(0, 'exec_start: sh')), isExec(event(0, 'start'))]).toEqual([true, false]);
  expect(isBad(event(0, 'health_status: unhealthy'))).toBe(true);
  // of too many those of health checks go first
  const kept = ['start', 'exec_create: true', 'exec_die', 'stop', 'destroy'].reduce<EventMessage[]>(
    (before, action, time) => withEvent(before, event(time, action) as EventMessage, 3),
    [],
  );
  expect(kept.map(({ Action }) => Action)).toEqual(['destroy', 'stop', 'start']);
});

test('what lies on disk, as docker counts it', () => {
  const usage = {
    LayersSize: 100,
    Images: [
      { Containers: 0, Size: 60, SharedSize: 20 },
      { Containers: 1, Size: 40, SharedSize: -1 },
    ],
    Containers: [
      { State: 'running', SizeRw: 1 },
      { State: 'restarting', SizeRw: 2 },
      { State: 'exited', SizeRw: 4 },
      { State: 'created' },
    ],
    Volumes: [{ UsageData: { RefCount: 0, Size: 8 } }, { UsageData: { RefCount: 1, Size: 16 } }, {}],
    BuildCache: [
      { Size: 32, InUse: false, Shared: false },
      { Size: 64, InUse: false, Shared: true },
      { Size: 128, InUse: true, Shared: false },
    ],
  } as unknown as DiskUsage; // what is counted
  expect(usageOf(usage).map(({ name, total, free }) => [name, total, free])).toEqual([
    ['Images', 100, 40],
    ['Containers', 7, 4],
    ['Volumes', 24, 8],
    ['Build cache', 160, 32],
  ]);
});

test('columns of a machine and of what runs in it', () => {
  const machine = { time: [10, 20, 30], values: { cpuPercent: [1, 2, null] } };
  const container = { time: [12, 29], values: { rxBytes: [5, 7], txBytes: [null, 1] } };
  expect(withNetwork(machine, container)).toEqual({
    time: [10, 20, 30],
    values: { cpuPercent: [1, 2, null], rxBytes: [null, 5, 7], txBytes: [null, null, 1] },
  });
  expect(latest(machine, 'cpuPercent')).toBe(2);
  expect(latest(machine, 'memoryBytes')).toBeUndefined();
  expect(summed(container, 'rxBytes', 'txBytes')).toEqual([5, 8]);
});

test.each([
  ['debian', 'debian', 'latest'],
  ['localhost:5000/a/b:1', 'localhost:5000/a/b', '1'],
  ['localhost:5000/a', 'localhost:5000/a', 'latest'],
  ['a@sha256:00', 'a@sha256:00', ''],
])('an image by the name %s', (name, fromImage, tag) => expect(pullNames(name)).toEqual({ fromImage, tag }));

test('ports, containers and networks are drawn in columns, also those that nothing leads to', () => {
  const network = (name: string) =>
    ({
      Id: name,
      Name: name,
      Driver: 'bridge',
      IPAM: { Config: [] },
      Internal: false,
    }) as unknown as NetworkInspect;
  const container = (name: string, on: string, ports: object[]) =>
    ({
      ...{ Id: name, Names: [`/${name}`], State: 'running', Ports: ports },
      NetworkSettings: { Networks: { [on]: { NetworkID: on, IPAddress: '172.17.0.2' } } },
    }) as unknown as ContainerSummary;
  const published = { PublicPort: 80, PrivatePort: 8080, Type: 'tcp', IP: '0.0.0.0' };
  const networks = ['busy', 'other', 'empty'].map(network);
  const containers = [container('open', 'busy', [published]), container('closed', 'other', [])];
  const columns = ({ nodes }: ReturnType<typeof topology>) =>
    ['port', 'container', 'network'].map(
      (one) => new Set(nodes.filter(({ kind }) => kind === one).map(({ x }) => x)).size,
    );
  const drawn = topology(networks, containers);
  expect(columns(drawn)).toEqual([1, 1, 1]);
  expect(drawn.edges.map(({ from, to }) => `${from}>${to}`).sort()).toEqual([
    ...['c closed>n other', 'c open>n busy', 'p 0.0.0.0 80/tcp>c open'],
  ]);
  expect(columns(topology(networks, [container('closed', 'other', [])]))).toEqual([0, 1, 1]);
});
