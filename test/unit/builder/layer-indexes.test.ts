import { Readable } from 'node:stream';

import { LayerIndexes } from '../../../src/builder/image-files';
import { makeTar } from '../../support/images/tar-maker';

const tar = makeTar([{ name: 'file', data: 'text' }]);

it('builds with layers of their own share what is known of them', async () => {
  const nobody = new LayerIndexes({ openTar: () => Readable.from([]) });
  const reads: string[] = [];
  const reader = (name: string) => ({
    openTar: () => (reads.push(name), Readable.from([tar], { objectMode: false })),
  });
  const [entry] = await new LayerIndexes(reader('first'), nobody).of('sha256:a');
  const [again] = await new LayerIndexes(reader('second'), nobody).of('sha256:a');
  expect(again).toBe(entry);
  expect(reads).toEqual(['first']);
});

it('a layer that another build was reading when it ended is read again', async () => {
  const first = new Readable({ read: () => undefined });
  const given = new LayerIndexes({ openTar: () => first });
  const other = new LayerIndexes({ openTar: () => Readable.from([tar], { objectMode: false }) }, given);
  const failing = expect(given.of('sha256:a')).rejects.toThrow('cancelled');
  const waiting = other.of('sha256:a');
  first.destroy(new Error('cancelled'));
  await failing;
  expect(await waiting).toHaveLength(1);
});
