// A volume as a claim, and back.

import { claimOf, volumeOf } from '../../../../src/cluster/volumes/claim';

const settings = { storageClass: '', accessMode: 'ReadWriteOnce', size: '10Gi' } as const;
const request = { name: 'My_data.1', labels: { a: 'b' }, options: null, anonymous: true };

it('is the same volume when it is read again', () => {
  const claim = claimOf(request, settings, { managed: 'yes' });
  expect(claim.metadata?.name).toMatch(/^volume-[0-9a-f]{40}$/);
  expect(claim.spec).toEqual({
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '10Gi' } },
  });
  expect(volumeOf(claim)).toMatchObject(request);
});

it.each([
  ['1g', String(2 ** 30)],
  ['512m', String(2 ** 29)],
  ['1.5K', '1536'],
  ['2GiB', String(2 ** 31)],
  ['1000', '1000'],
])('is as large as size=%s', (size, quantity) => {
  const { spec } = claimOf({ ...request, options: { size } }, { ...settings, storageClass: 'fast' }, {});
  expect(spec).toMatchObject({ storageClassName: 'fast', resources: { requests: { storage: quantity } } });
});

it.each([
  [{ size: 'much' }, "invalid size: 'much'"],
  [{ size: '0.5' }, "invalid size: '0.5'"],
  [{ size: '-1g' }, "invalid size: '-1g'"],
  [{ type: 'nfs' }, 'option "type" is not supported on a cluster'],
  [{ colour: 'red' }, 'invalid option: "colour"'],
])('is refused with %j', (options, words) => {
  expect(() => claimOf({ ...request, options }, settings, {})).toThrow(words);
});

it('is refused by names that Docker refuses', () => {
  expect(() => claimOf({ ...request, name: 'x' }, settings, {})).toThrow('volume name is too short');
  expect(() => claimOf({ ...request, name: '../x' }, settings, {})).toThrow('includes invalid characters');
});

it('is none of a claim that is not ours, and survives what others have written into one', () => {
  expect(volumeOf({ metadata: { name: 'theirs' } })).toBeUndefined();
  const annotations = {
    'caisson.io/name': 'ours',
    'caisson.io/volume': '{"labels": 7, "options": {"a": 1}, "x',
  };
  expect(volumeOf({ metadata: { name: 'c', annotations } })).toMatchObject({
    labels: null,
    anonymous: false,
  });
  annotations['caisson.io/volume'] = '{"labels": 7, "options": {"a": 1, "b": "c"}}';
  expect(volumeOf({ metadata: { name: 'c', annotations } })).toMatchObject({
    labels: null,
    options: { b: 'c' },
  });
});
