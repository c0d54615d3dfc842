import { scannerOf } from '../../../../src/buildkit/attestations/scan';
import type { SolveRequest } from '../../../../src/buildkit/contract/frontend';
import { emptyResult, type Ref } from '../../../../src/buildkit/contract/solver';
import { loadGraph } from '../../../../src/buildkit/llb/graph';
import { FakeBridge } from '../frontend/fake-bridge';
import { definitionOf, image, never, run } from '../solver/fake-host';

const base = image('base');
const resultOf = (graph: ReturnType<typeof run>): Ref => ({ definition: definitionOf(graph) }) as Ref;

/** The step that scans. */
async function scanOf(extras: Record<string, ReturnType<typeof run>>): Promise<unknown> {
  const bridge = new FakeBridge('');
  bridge.images.set('docker.io/library/scanner:latest', { config: { Entrypoint: ['scan'], Env: ['E=1'] } });
  const asked: SolveRequest[] = [];
  jest.spyOn(bridge, 'solve').mockImplementation((request) => {
    asked.push(request);
    return Promise.resolve({ ...emptyResult, ref: { id: 'sbom' } as Ref });
  });
  const scan = await scannerOf(new Map([['generator', 'scanner']]), new Map(), bridge, never);
  const graphs = Object.entries(extras).map(([name, graph]) => [name, definitionOf(graph)] as const);
  await scan('linux/amd64', { ref: resultOf(run(base, 'result')), extras: new Map(graphs) }, never);
  const [what] = asked.map((each) => each.what);
  return what?.kind === 'definition' ? loadGraph(what.definition)?.vertex.op.op?.value : undefined;
}

test('a scanner has the result', async () => {
  expect(await scanOf({})).toMatchObject({
    meta: {
      args: ['scan'],
      env: ['E=1', 'BUILDKIT_SCAN_DESTINATION=/run/out/', 'BUILDKIT_SCAN_SOURCE=/run/src/core/sbom'],
    },
    mounts: [
      { dest: '/', input: 0 },
      { dest: '/tmp' },
      { dest: '/run/src/core/sbom', input: 1, readonly: true },
      { dest: '/run/out', output: 0 },
    ],
  });
});

test('and what else is to be scanned, each beside it', async () => {
  // what they have in common is there once
  expect(await scanOf({ context: run(base, 'c'), one: run(run(base, 'result'), 'one') })).toMatchObject({
    meta: { env: expect.arrayContaining(['BUILDKIT_SCAN_SOURCE_EXTRAS=/run/src/extras']) as unknown },
    mounts: expect.arrayContaining([
      expect.objectContaining({ dest: '/run/src/extras/sbom-context', input: 2, readonly: true }),
      expect.objectContaining({ dest: '/run/src/extras/sbom-one', input: 3, readonly: true }),
    ]) as unknown,
  });
});
