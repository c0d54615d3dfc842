import { digestOf, loadGraph, sourcesOf, vertexesOf } from '../../../../src/buildkit/llb/graph';
import { Definition, Op, type OpInit } from '../../../../src/buildkit/messages/ops';
import type { Init } from '../../../../src/buildkit/wire/codec';

const source = (identifier: string, inputs: readonly Buffer[] = []): Buffer =>
  op({ op: { kind: 'source', value: { identifier } } }, inputs);

function op(init: OpInit, inputs: readonly Buffer[] = []): Buffer {
  return Op.encode({ ...init, inputs: inputs.map((bytes) => ({ digest: digestOf(bytes), index: 0 })) });
}

function definition(def: readonly Buffer[], more: Init<typeof Definition> = {}): Definition {
  return Definition.decode(Definition.encode({ def, ...more }));
}

const first = source('local://a');
const left = source('local://b', [first]);
const right = source('local://c', [first]);
const last = source('local://d', [left, right]);

describe('loadGraph', () => {
  test('an empty definition has no result', () => {
    expect(loadGraph(definition([]))).toBeUndefined();
  });

  test('a vertex used twice is one object, with its metadata', () => {
    const metadata = [[digestOf(left), { ignore_cache: true }]] as const;
    const edge = loadGraph(definition([first, left, right, last, op({}, [last])], { metadata }));
    expect(edge?.vertex.digest).toBe(digestOf(last));
    const [a, b] = edge?.vertex.inputs ?? [];
    expect(a?.vertex.inputs[0]?.vertex).toBe(b?.vertex.inputs[0]?.vertex);
    expect(a?.vertex.metadata?.ignore_cache).toBe(true);
    expect(edge && vertexesOf(edge).map(({ digest }) => digest)).toEqual(
      [first, left, right, last].map(digestOf),
    );
  });

  test('vertexes in rows of diamonds are visited once', () => {
    const def = [first];
    let top = first;
    for (let i = 0; i < 60; i += 1) {
      top = source(`local://${i}`, [top, top]);
      def.push(top);
    }
    const edge = loadGraph(definition([...def, op({}, [top])]));
    expect(edge && vertexesOf(edge)).toHaveLength(61);
  });

  test.each([
    ['an input that is not there', [left, op({}, [left])], 'invalid missing input digest'],
    ['an input that comes later', [op({}, [first]), first], 'invalid missing input digest'],
    ['no single result', [first, left, right, op({}, [left, right])], 'one input'],
    ['bytes that are no operation', [Buffer.from([0xff])], 'failed to parse llb proto op'],
  ])('refuses %s', (_what, def, reason) => {
    expect(() => loadGraph(definition(def))).toThrow(reason);
  });
});

test('sourcesOf finds the lines of a vertex', () => {
  const Source = {
    infos: [{ filename: 'Dockerfile', data: Buffer.from('FROM scratch\n') }],
    locations: [
      [
        'sha256:a',
        {
          locations: [
            { sourceIndex: 0, ranges: [{ start: { line: 1 }, end: { line: 1 } }] },
            { sourceIndex: 7, ranges: [] },
            { sourceIndex: 0, ranges: [{ start: { line: 3 }, end: { line: 3 } }] },
          ],
        },
      ],
    ] as const,
  };
  const found = sourcesOf(definition([], { Source }), 'sha256:a');
  const info = expect.objectContaining({ filename: 'Dockerfile' }) as unknown;
  // the last one told is the innermost: clients show it first
  expect(found).toMatchObject([
    { kind: 'source', info, ranges: [{ start: { line: 3 } }] },
    { kind: 'source', info, ranges: [{ start: { line: 1 } }] },
  ]);
  expect(sourcesOf(definition([]), 'sha256:a')).toEqual([]);
});
