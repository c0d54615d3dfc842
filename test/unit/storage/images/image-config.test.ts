import { parseConfig } from '../../../../src/storage/images/image-config';

const digest = `sha256:${'a'.repeat(64)}`;
const rootfs = { type: 'layers', diff_ids: [digest] };
const parse = (value: unknown) => parseConfig(JSON.stringify(value));

test('what is known is typed, what is not is kept', () => {
  const value = {
    architecture: 'arm64',
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: { Env: ['A=b'], Cmd: null, Labels: { a: 'b' }, Volumes: { '/v': {} }, New: 7 },
    history: [{ created_by: 'x', empty_layer: true }],
    rootfs,
    'moby.buildkit.cache.v0': { x: 1 },
  };
  expect(parse(value)).toEqual(value);
});

test("Docker's readings of what is missing or short", () => {
  expect(parse({ rootfs, config: { Cmd: 'sh', Entrypoint: '/init' } })).toMatchObject({
    os: 'linux',
    architecture: '',
    config: { Cmd: ['sh'], Entrypoint: ['/init'] },
  });
  expect(parse({ config: null })).toMatchObject({ config: null, rootfs: { diff_ids: [] } });
});

test.each([
  ['a list', [], 'not an object'],
  ['null', null, 'not an object'],
  ['a diff ID that is a path', { rootfs: { diff_ids: ['../../etc'] } }, 'rootfs.diff_ids'],
  ['diff IDs that are no list', { rootfs: { diff_ids: 'x' } }, 'rootfs.diff_ids'],
  ['an environment of numbers', { rootfs, config: { Env: [1] } }, 'config.Env'],
  ['a command that is an object', { rootfs, config: { Cmd: {} } }, 'config.Cmd'],
  ['labels that are lists', { rootfs, config: { Labels: { a: [] } } }, 'config.Labels'],
  ['a user that is a number', { rootfs, config: { User: 0 } }, 'config.User'],
  ['a health check of text', { rootfs, config: { Healthcheck: { Test: 'x' } } }, 'config.Healthcheck'],
  ['a configuration that is text', { rootfs, config: 'x' }, 'config'],
  ['a history that is text', { rootfs, history: 'x' }, 'history'],
  ['a history of numbers', { rootfs, history: [1] }, 'history'],
  ['an architecture that is a number', { rootfs, architecture: 1 }, 'architecture'],
])('%s is refused', (_what, value, message) => {
  expect(() => parse(value)).toThrow(`invalid image configuration: ${message}`);
});

test('what is not JSON is refused', () => {
  expect(() => parseConfig('{')).toThrow('not JSON');
});
