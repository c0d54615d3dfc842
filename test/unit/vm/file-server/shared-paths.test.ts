import { SharedPaths, type SharedPath } from '../../../../src/vm/file-server/shared-paths';

let told: string[];
const share = (path: string, name = path): SharedPath => ({
  path,
  forgetsAtOnce: () => {
    told.push(name);
    return Promise.resolve();
  },
  mayRemember: () => {
    told.push(`${name} again`);
    return Promise.resolve();
  },
});

beforeEach(() => {
  told = [];
});

test('files that nobody else has may be remembered, until somebody has them', async () => {
  const paths = new SharedPaths();
  const [first, apart] = [share('/data/one'), share('/data/one-and-more')];
  expect([...paths.claim([first, apart]).alone]).toEqual([first, apart]);
  const second = share('/data/one', 'second');
  const { alone, settle } = paths.claim([second]);
  expect(alone.size).toBe(0);
  await settle();
  expect(told).toEqual(['/data/one']);

  // once is enough
  await paths.claim([share('/data/one', 'third')]).settle();
  expect(told).toEqual(['/data/one']);
});

test.each([
  ['/data', '/data/deep/inside'],
  ['/data/deep/inside', '/data'],
  ['/', '/data'],
])('%s and %s have files in common', async (one, other) => {
  const paths = new SharedPaths();
  paths.claim([share(one)]);
  const { alone, settle } = paths.claim([share(other)]);
  expect(alone.size).toBe(0);
  await settle();
  expect(told).toEqual([one]);
});

test('two shares of one VM are as strange to each other as those of two', async () => {
  const paths = new SharedPaths();
  const [whole, part, other] = [share('/data'), share('/data/part'), share('/other')];
  const { alone, settle } = paths.claim([whole, part, other]);
  expect([...alone]).toEqual([other]);
  await settle();
  expect(told).toEqual([]);
});

test('what is shared no more hinders nobody', () => {
  const paths = new SharedPaths();
  const first = share('/data');
  paths.claim([first]);
  paths.release([first]);
  const second = share('/data');
  expect([...paths.claim([second]).alone]).toEqual([second]);
});

test('a VM that can no longer be told is at its end', async () => {
  const paths = new SharedPaths();
  paths.claim([
    {
      path: '/data',
      forgetsAtOnce: () => Promise.reject(new Error('gone')),
      mayRemember: () => Promise.resolve(),
    },
  ]);
  await expect(paths.claim([share('/data')]).settle()).resolves.toBeUndefined();
});

test('who is alone again may remember again', async () => {
  const paths = new SharedPaths();
  const [first, inside, second, apart] = [
    share('/d', 'first'),
    share('/d/in'),
    share('/d', 'second'),
    share('/e'),
  ];
  for (const shared of [first, inside, second, apart]) await paths.claim([shared]).settle();
  told = [];
  paths.release([inside]);
  expect(told).toEqual([]); // there are two still
  paths.release([first]);
  expect(told).toEqual(['second again']);
  await paths.claim([share('/d', 'third')]).settle();
  expect(told).toEqual(['second again', 'second']);
});
