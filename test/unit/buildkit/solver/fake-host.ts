// A host of builds without VMs: layers are kept as bytes, commands are functions of the test, images are what it says.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';

import { readSmallFile } from '../../../../src/builder/file-contents';
import { displayName, walk, type FileTree } from '../../../../src/builder/file-tree';
import type { ExecOutcome, ExecOutput, ExecStep } from '../../../../src/buildkit/contract/executor';
import type { BuildHost } from '../../../../src/buildkit/contract/host';
import type { Progress, VertexState } from '../../../../src/buildkit/contract/progress';
import type {
  FilesReceiver,
  FilesRequest,
  FileStat,
  SessionCaller,
  Sessions,
} from '../../../../src/buildkit/contract/session';
import type { BuildScope, BuildSolver, Ref } from '../../../../src/buildkit/contract/solver';
import { digestOf } from '../../../../src/buildkit/llb/graph';
import { Definition, Op, type OpInit } from '../../../../src/buildkit/messages/ops';
import type { Init } from '../../../../src/buildkit/wire/codec';
import { createSolver, type SolverOptions } from '../../../../src/buildkit/solver/solver';
import { buildEntry, emptyEntry, padding, type TarEntry } from '../../../../src/storage/tar/tar-header';
import type { ImageContents } from '../../../../src/storage/contract/stores';
import { DaemonError } from '../../../../src/errors';

export const never = new AbortController().signal;

export type FakeFiles = Record<string, string | null | (Partial<TarEntry> & { content?: string })>;

/** A tar; null: a directory. */
export function tarOf(files: FakeFiles): Buffer {
  const parts = Object.entries(files).map(([name, what]) => {
    if (what === null) return buildEntry(emptyEntry({ name: `${name}/`, type: '5', mode: 0o755 }));
    const { content = '', ...entry } = typeof what === 'string' ? { content: what } : what;
    const body = Buffer.from(content);
    const header = emptyEntry({ name, type: '0', mode: 0o644, size: body.length, mtime: 1000, ...entry });
    return Buffer.concat([buildEntry(header), body, padding(body.length)]);
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export type FakeCommand = (
  step: ExecStep,
  output: ExecOutput,
  signal: AbortSignal,
) => Promise<{ exitCode?: number; changes?: Record<string, FakeFiles> }>;

export class FakeHost implements BuildHost {
  readonly temporaryDir = mkdtempSync(join(tmpdir(), 'caisson-solver-'));
  readonly tars = new Map<string, Buffer>();
  readonly held: string[][] = [];
  readonly references = new Map<string, readonly string[]>();
  readonly collections = new Map<string, Map<string, string>>();
  readonly steps: ExecStep[] = [];
  readonly endedBuilds: string[] = [];
  readonly expectedIn: string[] = [];
  readonly pulled: string[] = [];
  readonly disksMade: string[] = [];
  readonly localImages = new Map<string, string[]>();
  command: FakeCommand = () => Promise.resolve({});

  addTar(tar: Buffer): string {
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    this.tars.set(diffId, tar);
    return diffId;
  }

  addImage(name: string, ...layers: FakeFiles[]): void {
    this.localImages.set(
      name,
      layers.map((files) => this.addTar(tarOf(files))),
    );
  }

  remove(): void {
    rmSync(this.temporaryDir, { recursive: true });
  }

  readonly layers: BuildHost['layers'] = {
    openTar: (diffId) => Readable.from([this.tars.get(diffId) ?? Buffer.alloc(0)], { objectMode: false }),
    diskPaths: (diffIds) =>
      diffIds.map((diffId) => {
        if (!this.tars.has(diffId)) throw new DaemonError('NotFound', `layer ${diffId} is missing`);
        return diffId;
      }),
    bundle: () => Promise.resolve(undefined),
    sizeBytes: (diffId) => this.tars.get(diffId)?.length ?? 0,
    add: async (stream, { onDiffId }) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const diffId = this.addTar(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);
      onDiffId?.(diffId);
      return { diffId, sizeBytes: 0 };
    },
    remove: () => Promise.resolve(),
    hold: (diffIds) => {
      const held = [...diffIds];
      this.held.push(held);
      return () => void this.held.splice(this.held.indexOf(held), 1);
    },
    blob: (diffId, { compression }) => {
      const tar = this.tars.get(diffId) ?? Buffer.alloc(0);
      const bytes = compression === 'none' ? tar : gzipSync(tar);
      const digest = digestOf(bytes);
      const open = (): Readable => Readable.from([bytes], { objectMode: false });
      return Promise.resolve({ digest, sizeBytes: bytes.length, compression, open });
    },
    reference: (owner, diffIds) => void this.references.set(owner, diffIds),
    unreference: (owner) => void this.references.delete(owner),
    owners: () => [...this.references.keys()],
    repair: () => Promise.resolve(),
  };

  readonly documents: BuildHost['documents'] = {
    put: (collection, id, value) => {
      const documents = this.collections.get(collection) ?? new Map<string, string>();
      this.collections.set(collection, documents.set(id, JSON.stringify(value)));
    },
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as in the interface
    get: <T>(collection: string, id: string) => {
      const text = this.collections.get(collection)?.get(id);
      return text === undefined ? undefined : (JSON.parse(text) as T);
    },
    all: <T>(collection: string) =>
      [...(this.collections.get(collection)?.values() ?? [])].map((text) => JSON.parse(text) as T),
    delete: (collection, id) => void this.collections.get(collection)?.delete(id),
    transaction: (work) => work(),
    close: () => undefined,
  };

  readonly images: BuildHost['images'] = {
    resolve: ({ ref }) => {
      const diffIds = this.localImages.get(ref);
      if (diffIds === undefined) return Promise.reject(new DaemonError('NotFound', `${ref}: not found`));
      const config = Buffer.from(JSON.stringify({ rootfs: { diff_ids: diffIds } }));
      return Promise.resolve({ ref, digest: digestOf(config), config });
    },
    layers: ({ ref }) => {
      this.pulled.push(ref);
      const diffIds = this.localImages.get(ref) ?? [];
      return Promise.resolve({ diffIds, release: this.layers.hold(diffIds) });
    },
    create: (config) => Promise.resolve({ id: digestOf(config) }),
    usedLayers: () => new Set([...this.localImages.values()].flat()),
    removeUnusedLayers: (diffIds) => {
      const used = new Set([...this.references.values(), ...this.localImages.values()].flat());
      for (const diffId of diffIds) if (!used.has(diffId)) this.tars.delete(diffId);
      return Promise.resolve();
    },
    push: () => Promise.resolve({ digest: '' }),
  };

  /** By name. */
  readonly stored = new Map<string, ImageContents>();
  readonly pushed = new Map<string, ImageContents>();
  readonly contents: BuildHost['contents'] = {
    createContents: (contents, names) => {
      for (const name of names) this.stored.set(name, contents);
      return {
        id: digestOf(contents.blobs[0] ?? Buffer.alloc(0)),
        config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
        repoTags: [...names],
        repoDigests: [],
        sizeBytes: 0,
        parentId: '',
        lastTagTimeMs: 0,
      };
    },
    pushContents: (contents, name, { byDigest }) => {
      this.pushed.set(byDigest ? `${name}@${digestOf(contents.top.body)}` : name, contents);
      return Promise.resolve();
    },
    fetchManifest: (name) => {
      const found = this.pushed.get(name);
      return found === undefined
        ? Promise.reject(new DaemonError('NotFound', `${name}: not found`))
        : Promise.resolve(found.top);
    },
    fetchBlob: (name, digest) => {
      const { blobs = [] } = this.pushed.get(name) ?? {};
      const tars = [...this.tars.values()].map((tar) => gzipSync(tar));
      const found = [...blobs, ...tars].find((each) => digestOf(each) === digest);
      return Readable.from(found === undefined ? [] : [found], { objectMode: false });
    },
  };

  readonly executor: BuildHost['executor'] = {
    run: async (step, output, signal): Promise<ExecOutcome> => {
      this.steps.push(step);
      const { exitCode = 0, changes = {} } = await this.command(step, output, signal);
      const made = Object.entries(changes).map(([dest, files]) => [dest, this.addTar(tarOf(files))] as const);
      const release = (): void => undefined;
      return { exitCode, outOfMemory: false, changes: new Map(made), release, vm: `vm-${this.steps.length}` };
    },
    runs: (architecture) => ['', 'amd64'].includes(architecture),
    expect: (buildId) => void this.expectedIn.push(buildId),
    endBuild: (buildId) => {
      this.endedBuilds.push(buildId);
      return Promise.resolve();
    },
  };

  readonly disks: BuildHost['disks'] = {
    create: (id) => {
      this.disksMade.push(id);
      return Promise.resolve(`/disks/${id}`);
    },
    usageBytes: () => Promise.resolve(4096),
    remove: () => Promise.resolve(),
    keepOnly: () => Promise.resolve(),
  };
}

/** A client's directories and secrets. */
export class FakeSession {
  readonly asked: string[] = [];
  readonly secrets = new Map<string, string>();
  readonly uploads = new Map<string, Buffer>();
  /** By store and digest. */
  readonly blobs = new Map<string, Buffer>();
  readonly closed = new AbortController();
  readonly files: FakeStats;
  readonly id: string;

  constructor(id: string, files: FakeStats = {}) {
    this.id = id;
    this.files = files;
  }

  get caller(): SessionCaller {
    const unused = (): never => {
      throw new Error('not of this test');
    };
    return {
      id: this.id,
      name: '',
      sharedKey: 'shared',
      closed: this.closed.signal,
      supports: () => true,
      receiveFiles: (request, receiver) => this.#send(request, receiver),
      sendFiles: unused,
      sendFile: unused,
      credentials: unused,
      fetchToken: unused,
      secret: (id) => {
        const text = this.secrets.get(id);
        return Promise.resolve(text === undefined ? undefined : Buffer.from(text));
      },
      checkSshAgent: unused,
      connectSshAgent: unused,
      pullUpload: (id) => Readable.from([this.uploads.get(id) ?? ''], { objectMode: false }),
      readContent: (store, digest) =>
        Readable.from([this.blobs.get(`${store} ${digest}`) ?? ''], { objectMode: false }),
      writeContent: unused,
    };
  }

  async #send(_request: FilesRequest, receiver: FilesReceiver): Promise<void> {
    const wanted: [number, string][] = [];
    for (const [index, path] of Object.keys(this.files).sort().entries()) {
      const { content, ...stat } = this.files[path] ?? { content: '' };
      const full = { ...plainStat, path, sizeBytes: content.length, ...stat };
      if (receiver.entry(full, index)) wanted.push([index, content]);
    }
    for (const [index, content] of wanted) {
      this.asked.push(Object.keys(this.files).sort()[index] ?? '');
      await receiver.data(index, Buffer.from(content));
      await receiver.end(index);
    }
  }
}

export type FakeStats = Record<string, Partial<FileStat> & { content: string }>;

const plainStat: Omit<FileStat, 'path'> = {
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  modifiedNs: 5_000_000_000n,
  linkName: '',
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
};

export function sessionsOf(...sessions: FakeSession[]): Sessions {
  const find = (id: string): SessionCaller | undefined =>
    sessions.find((session) => session.id === id)?.caller;
  return {
    find,
    get: (id) => {
      const found = find(id);
      return found === undefined ? Promise.reject(new Error('no active session')) : Promise.resolve(found);
    },
  };
}

export class FakeProgress implements Progress {
  readonly vertexes = new Map<string, VertexState>();
  readonly warnings: string[] = [];
  logs = '';
  vertex(state: VertexState): void {
    this.vertexes.set(state.digest, state);
  }
  counter(): void {
    // not looked at
  }
  log(_vertex: string, _stream: string, bytes: Uint8Array): void {
    this.logs += Buffer.from(bytes).toString();
  }
  warning({ short }: { short: string }): void {
    this.warnings.push(short);
  }
  named(name: string): VertexState | undefined {
    return [...this.vertexes.values()].find((state) => state.name === name);
  }
}

export interface OpenBuild {
  readonly build: BuildSolver;
  readonly progress: FakeProgress;
  readonly abort: AbortController;
}

/** Builds of one daemon. */
export class FakeDaemon {
  readonly host: FakeHost;
  readonly solver: ReturnType<typeof createSolver>;
  #builds = 0;

  constructor(host: FakeHost, sessions: Sessions = sessionsOf(), options: SolverOptions = {}) {
    this.host = host;
    this.solver = createSolver(host, sessions, options);
  }

  open(scope: Partial<BuildScope> = {}): OpenBuild {
    this.#builds += 1;
    const progress = new FakeProgress();
    const abort = new AbortController();
    const build = this.solver.open({
      id: `build-${this.#builds}`,
      sessionIds: [],
      progress,
      entitlements: new Set(),
      cacheImports: [],
      signal: abort.signal,
      ...scope,
    });
    return { build, progress, abort };
  }

  /** Layers of a graph's result, by a build of its own. */
  async layersOf(graph: Graph, scope: Partial<BuildScope> = {}): Promise<readonly string[]> {
    const { build, abort } = this.open(scope);
    try {
      return await (await refOf(build, graph)).layers(never);
    } finally {
      await build.close();
      abort.abort();
    }
  }

  /** Its files with their contents; a directory has a slash at its end, a link its target. */
  async filesOf(graph: Graph, scope: Partial<BuildScope> = {}): Promise<Record<string, string>> {
    const { build, abort } = this.open(scope);
    try {
      return await listOf(this.host, await (await refOf(build, graph)).tree(never));
    } finally {
      await build.close();
      abort.abort();
    }
  }
}

export async function listOf(host: FakeHost, tree: FileTree): Promise<Record<string, string>> {
  const list: Record<string, string> = {};
  for (const { path, node } of walk(tree.root)) {
    const name = displayName(path);
    if (node.kind === 'directory') list[`${name}/`] = '';
    else if (node.type === '2') list[name] = `-> ${node.link}`;
    else list[name] = (await readSmallFile(host.layers, node, 1 << 20)).toString();
  }
  return list;
}

export async function refOf(build: BuildSolver, graph: Graph): Promise<Ref> {
  const ref = await build.solve(definitionOf(graph), {}, never);
  if (ref === undefined) throw new Error('an empty graph');
  return ref;
}

/** Operations, each after those it uses. */
export interface Graph {
  readonly bytes: Buffer;
  readonly inputs: readonly Graph[];
  readonly index?: number;
  readonly metadata?: object;
}

export function op(
  init: OpInit['op'],
  inputs: readonly Graph[] = [],
  metadata: object = {},
  more: Pick<OpInit, 'platform'> = {},
): Graph {
  const bytes = Op.encode({
    ...more,
    op: init,
    inputs: inputs.map((input) => ({ digest: digestOf(input.bytes), index: input.index ?? 0 })),
  });
  return { bytes, inputs, metadata };
}

export function definitionOf(graph: Graph, more: Init<typeof Definition> = {}): Definition {
  const def: Buffer[] = [];
  const metadata = new Map<string, object>();
  const add = (node: Graph): void => {
    if (def.includes(node.bytes)) return;
    node.inputs.forEach(add);
    def.push(node.bytes);
    metadata.set(digestOf(node.bytes), node.metadata ?? {});
  };
  add(graph);
  const result = { digest: digestOf(graph.bytes), index: graph.index ?? 0 };
  return Definition.decode(
    Definition.encode({ def: [...def, Op.encode({ inputs: [result] })], metadata, ...more }),
  );
}

export const image = (name: string): Graph =>
  op({ kind: 'source', value: { identifier: `docker-image://${name}` } });

export const local = (name: string, attrs: Record<string, string> = {}): Graph =>
  op({ kind: 'source', value: { identifier: `local://${name}`, attrs: Object.entries(attrs) } });

/** A command on a root file system, whose changes are its output. */
export function run(
  root: Graph | undefined,
  command: string,
  more: {
    mounts?: object[];
    inputs?: Graph[];
    meta?: object;
    exec?: object;
    metadata?: object;
    platform?: OpInit['platform'];
  } = {},
): Graph {
  const inputs = [...(root === undefined ? [] : [root]), ...(more.inputs ?? [])];
  const rootMount = { input: root === undefined ? -1 : 0, dest: '/', output: 0 };
  const value = {
    meta: { args: ['/bin/sh', '-c', command], cwd: '/', ...more.meta },
    mounts: [rootMount, ...(more.mounts ?? [])],
    ...more.exec,
  };
  const ofPlatform = more.platform === undefined ? {} : { platform: more.platform };
  return op({ kind: 'exec', value }, inputs, more.metadata, ofPlatform);
}

const plainAction = { input: 0, secondaryInput: -1, output: 0 };
type FileActionInit = NonNullable<Extract<OpInit['op'], { kind: 'file' }>['value']['actions']>;

export function file(inputs: readonly Graph[], ...actions: FileActionInit): Graph {
  return op(
    { kind: 'file', value: { actions: actions.map((action) => ({ ...plainAction, ...action })) } },
    inputs,
  );
}

/** Of the second input into the first. */
export function copy(
  to: Graph | undefined,
  from: Graph,
  src: string,
  dest: string,
  more: object = {},
): Graph {
  const value = { src, dest, mode: -1, timestamp: -1n, createDestPath: true, allowWildcard: true, ...more };
  const action = { kind: 'copy' as const, value };
  return to === undefined
    ? file([from], { input: -1, secondaryInput: 0, action })
    : file([to, from], { input: 0, secondaryInput: 1, action });
}
