// A solver that runs nothing: each vertex is told as begun and done, and a source `fail://text` fails with that text. Local sources are
// really asked for, so that sessions are in play.

import { EventEmitter, once } from 'node:events';
import { FileTree } from '../../../src/builder/file-tree';
import { BuildKit, type BuildKitParts } from '../../../src/buildkit/buildkit';
import { BuildError, withDetails } from '../../../src/buildkit/contract/errors';
import type { Exporter } from '../../../src/buildkit/contract/exporter';
import type { Frontend } from '../../../src/buildkit/contract/frontend';
import type { CacheRecord } from '../../../src/buildkit/contract/cache-records';
import type { Definition, Vertex } from '../../../src/buildkit/contract/llb';
import type { Sessions } from '../../../src/buildkit/contract/session';
import {
  emptyResult,
  type BuildScope,
  type BuildSolver,
  type Ref,
  type Solver,
} from '../../../src/buildkit/contract/solver';
import { digestOf, loadGraph, sourcesOf, vertexesOf } from '../../../src/buildkit/llb/graph';
import type { ClientSessions } from '../../../src/buildkit/session/sessions';
import { Definition as DefinitionMessage, Op, type OpInit } from '../../../src/buildkit/messages/ops';

export class FakeSolver implements Solver {
  readonly capabilities = ['source.local', 'exec.meta.base'];
  readonly platforms = [{ Architecture: 'amd64', OS: 'linux', Variant: '', OSVersion: '', OSFeatures: [] }];
  readonly records;
  readonly cache: CacheRecord[] = [];
  /** Builds that are open. */
  readonly running = new Set<string>();
  readonly #closed = new EventEmitter();
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    const { cache } = this;
    this.records = {
      list: () => Promise.resolve(cache),
      async *prune({ matches }: { matches: (record: CacheRecord) => boolean }) {
        for (const record of await Promise.resolve(cache.splice(0))) if (matches(record)) yield record;
      },
    };
  }

  /** What a container does. */
  container: BuildSolver['runContainer'] = () => Promise.resolve(0);

  /** Resolves when the build is closed next. */
  async whenOver(buildId: string): Promise<void> {
    await once(this.#closed, buildId);
  }

  open(scope: BuildScope): BuildSolver {
    this.running.add(scope.id);
    let refs = 0;
    return {
      solve: (definition) => {
        const edge = loadGraph(definition);
        if (edge === undefined) return Promise.resolve(undefined);
        refs += 1;
        return Promise.resolve(this.#ref(`${scope.id}-${refs}`, definition, vertexesOf(edge), scope));
      },
      resolveImageConfig: (ref) =>
        Promise.resolve({ ref: `${ref}@sha256:1`, digest: 'sha256:1', config: Buffer.from('{}') }),
      resolveSource: (source) => Promise.resolve({ source }),
      runContainer: (container, output, signal) => this.container(container, output, signal),
      close: () => {
        this.running.delete(scope.id);
        this.#closed.emit(scope.id);
        return Promise.resolve();
      },
    };
  }

  #ref(id: string, definition: Definition, vertexes: readonly Vertex[], scope: BuildScope): Ref {
    let run: Promise<void> | undefined;
    const evaluate = (): Promise<void> => (run ??= this.#run(definition, vertexes, scope));
    return {
      id,
      definition,
      evaluate,
      layers: async () => {
        await evaluate();
        return [];
      },
      tree: async () => {
        await evaluate();
        const tree = new FileTree();
        tree.root.children.set('file', {
          kind: 'file',
          type: '0',
          attributes: { mode: 0o640, uid: 1, gid: 2, mtime: 3, xattrs: new Map() },
          link: '',
          deviceMajor: 0,
          deviceMinor: 0,
          size: 0,
          data: undefined,
        });
        return tree;
      },
      cachedSteps: () => Promise.resolve([]),
      stepLayers: () => Promise.resolve(new Map<string, never>()),
      sources: () => Promise.resolve([]),
    };
  }

  async #run(definition: Definition, vertexes: readonly Vertex[], scope: BuildScope): Promise<void> {
    for (const { digest, op, inputs } of vertexes) {
      const name = op.op?.kind === 'source' ? op.op.value.identifier : (op.op?.kind ?? '');
      const state = {
        digest,
        name,
        inputs: inputs.map(({ vertex }) => vertex.digest),
        startedMs: Date.now(),
      };
      scope.progress.vertex(state);
      try {
        await this.#step(name, digest, scope);
        scope.progress.vertex({ ...state, completedMs: Date.now() });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        scope.progress.vertex({ ...state, completedMs: Date.now(), error: message });
        throw withDetails(error, [{ kind: 'vertex', digest }, ...sourcesOf(definition, digest)]);
      }
    }
  }

  async #step(name: string, digest: string, scope: BuildScope): Promise<void> {
    const [, scheme = '', rest = ''] = /^(\w+):\/\/(.*)$/.exec(name) ?? [];
    if (scheme === 'fail') throw new BuildError('Unknown', rest);
    if (scheme === 'hang') {
      await new Promise((_, reject) => {
        scope.signal.addEventListener('abort', () => reject(scope.signal.reason as Error));
      });
    }
    if (scheme === 'log') {
      for (let i = 0; i < Number(rest); i += 1)
        scope.progress.log(digest, 'stdout', Buffer.alloc(1000, 'log\n'));
    }
    if (scheme !== 'local') return;
    const session = await this.#sessions.get(scope.sessionIds[0] ?? '', scope.signal);
    let bytes = 0;
    const startedMs = Date.now();
    await session.receiveFiles(
      { name: rest },
      {
        entry: () => true,
        data: (_index, chunk) => {
          bytes += chunk.length;
          const counter = {
            vertex: digest,
            id: `transferring ${rest}:`,
            current: bytes,
            total: 0,
            startedMs,
          };
          scope.progress.counter(counter);
        },
        end: () => undefined,
      },
      scope.signal,
    );
  }
}

/** A graph of sources, each used by the next. */
export function chainOf(...identifiers: string[]): Definition {
  const def: Buffer[] = [];
  const add = (op: OpInit): void => {
    const before = def.at(-1);
    const inputs = before === undefined ? [] : [{ digest: digestOf(before), index: 0 }];
    def.push(Op.encode({ ...op, inputs }));
  };
  for (const identifier of identifiers) add({ op: { kind: 'source', value: { identifier } } });
  add({});
  const locations = [
    [
      digestOf(def[0]!),
      { locations: [{ sourceIndex: 0, ranges: [{ start: { line: 1 }, end: { line: 1 } }] }] },
    ],
  ] as const;
  const Source = { infos: [{ filename: 'Dockerfile', data: Buffer.from('FROM x\n') }], locations };
  return DefinitionMessage.decode(DefinitionMessage.encode({ def, Source }));
}

/** `dockerfile.v0` whose option `chain` is the graph, sources by spaces. */
const fakeFrontend: Frontend = {
  name: 'dockerfile.v0',
  solve: async (bridge, { options }, signal) => {
    const definition = chainOf(...(options.get('chain') ?? 'local://context').split(' '));
    const { ref } = await bridge.solve({ what: { kind: 'definition', definition } }, signal);
    return { ...emptyResult, ref, metadata: new Map([['containerimage.config', Buffer.from('{"a":1}')]]) };
  },
};

const fakeExporter: Exporter = {
  types: ['moby'],
  export: ({ attributes, scope }) => {
    const digest = 'sha256:export';
    scope.progress.vertex({ digest, name: 'exporting to image', inputs: [], startedMs: 1, completedMs: 2 });
    return Promise.resolve(
      new Map([
        ['containerimage.digest', 'sha256:1234'],
        ['image.name', attributes.get('name') ?? ''],
      ]),
    );
  },
};

/** With `dockerfile.v0` and the exporter `moby` of these here, and no layers. */
export function fakeBuildKit(
  sessions: ClientSessions,
  solver: FakeSolver,
  { worker, granted = new Set() }: Pick<BuildKitParts, 'worker'> & Partial<Pick<BuildKitParts, 'granted'>>,
): BuildKit {
  const openTar = (): never => {
    throw new Error('no layers here');
  };
  return new BuildKit({
    ...{ sessions, solver, worker, granted, layers: { openTar } },
    frontends: [fakeFrontend],
    exporters: [fakeExporter],
  });
}
