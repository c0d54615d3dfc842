// Stand-ins for what the engine works with: VMs without QEMU, an agent without a guest, stores in memory.

import type { ContainerDefaults, NetworkDefaults } from '../../../src/config';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StreamClient } from '../../../src/api/v1.41/backend';
import type { ContainerCreateBody } from '../../../src/docker/types';
import { wallClock } from '../../../src/async/deadline';
import { Containers } from '../../../src/engine/backends/containers';
import { createEngine } from '../../../src/engine/backends/create-engine';
import type { Engine } from '../../../src/engine/engine';
import type { Execs } from '../../../src/engine/sessions/exec';
import { ContainerRegistry } from '../../../src/engine/core/container-registry';
import { EventBus } from '../../../src/semantics/events/events';
import { EventHistory } from '../../../src/engine/events/event-history';
import { ContainerLogStore } from '../../../src/engine/logs/container-log-store';
import { DaemonError } from '../../../src/errors';
import type { Endpoint, EndpointRequest, NetworkManager } from '../../../src/network/network';
import type { Image } from '../../../src/storage/contract/image';
import { VolumeStore } from '../../../src/storage/disks/volume-store';
import type { GuestStats } from '../../../src/engine/views/stats';
import type {
  DocumentStore,
  ImageStore,
  LayerStore,
  WritableDiskStore,
} from '../../../src/storage/contract/stores';
import type {
  Agent,
  AgentInput,
  AgentOutput,
  AgentTunnel,
  OutputChunk,
} from '../../../src/vm/contract/agent';
import type {
  AgentEvent,
  AgentHello,
  AgentOperation,
  AgentOperations,
  ExitStatus,
} from '../../../src/vm/contract/protocol';
import type { FoundVm, FoundVms, UnansweredVm, Vm, VmDisk, VmEnd, VmPool } from '../../../src/vm/contract/vm';
import type { VmState } from '../../../src/vm/contract/vm-state';

type Handler = (params: never) => unknown;

/** Answers requests with what a test says, by default with success. */
export class FakeAgent implements Agent {
  hello: AgentHello = {
    version: 1,
    build: 'test',
    identified: true,
    pod: true,
    containers: [],
    execs: [],
    channels: [],
  };
  readonly requests: { op: AgentOperation; params: Record<string, unknown> }[] = [];
  readonly handlers = new Map<AgentOperation, Handler>([
    ['container.start', () => ({ pid: 4711 })],
    ['exec.start', () => ({ pid: 4712 })],
  ]);
  readonly outputs = new Map<number, FakeOutput>();
  readonly inputs = new Map<number, FakeInput>();
  readonly acked: number[] = [];
  readonly clock = wallClock;
  bulk: Agent['bulk'];
  hindrance: Agent['hindrance'];
  readonly closed: Promise<Error>;
  /** The VM is gone. */
  close: (error: Error) => void = () => undefined;
  #listener: ((event: AgentEvent, ack: () => void) => void) | undefined;
  /** Opens a connection of the guest's. */
  openTunnel: ((tunnel: AgentTunnel) => void) | undefined;
  #early: AgentEvent[] = [];
  #channels = 0;
  #seq = 0;

  constructor() {
    this.closed = new Promise((resolve) => (this.close = resolve));
  }

  /** The next requests of this kind get this answer; a thrown error rejects them. */
  on<Op extends AgentOperation>(
    op: Op,
    handler: (
      params: AgentOperations[Op]['params'],
    ) => AgentOperations[Op]['result'] | Promise<AgentOperations[Op]['result']>,
  ): void {
    this.handlers.set(op, handler);
  }

  async request<Op extends AgentOperation>(
    op: Op,
    params: AgentOperations[Op]['params'],
  ): Promise<AgentOperations[Op]['result']> {
    this.requests.push({ op, params });
    const result = await this.handlers.get(op)?.(params as never);
    return (result ?? {}) as AgentOperations[Op]['result'];
  }

  params<Op extends AgentOperation>(op: Op): AgentOperations[Op]['params'] {
    const found = this.requests.find((request) => request.op === op);
    if (found === undefined) throw new Error(`no ${op} was requested`);
    return found.params as AgentOperations[Op]['params'];
  }

  allocateChannel(): number {
    this.#channels += 1;
    return this.#channels;
  }

  openOutput(channel: number, fromOffset = 0): AgentOutput {
    const output = new FakeOutput(channel, fromOffset);
    this.outputs.set(channel, output);
    return output;
  }

  openInput(channel: number): AgentInput {
    const input = new FakeInput(channel);
    this.inputs.set(channel, input);
    return input;
  }

  onTunnel(listener: (tunnel: AgentTunnel) => void): void {
    this.openTunnel = listener;
  }

  onEvent(listener: (event: AgentEvent, ack: () => void) => void): () => void {
    this.#listener = listener;
    for (const event of this.#early.splice(0)) this.#deliver(event);
    return () => {
      this.#listener = undefined;
    };
  }

  /** As the guest does: ends the streams, then tells of the exit. */
  exit(id: string, status: Partial<ExitStatus> = {}, kind: 'container' | 'exec' = 'container'): void {
    for (const output of this.outputs.values()) output.end();
    this.#seq += 1;
    this.emit({
      seq: this.#seq,
      event: 'exit',
      kind,
      id,
      status: { exitCode: 0, signal: 0, oomKilled: false, timeMs: Date.now(), ...status },
    });
  }

  emit(event: AgentEvent): void {
    if (this.#listener === undefined) this.#early.push(event);
    else this.#deliver(event);
  }

  #deliver(event: AgentEvent): void {
    this.#listener?.(event, () => this.acked.push(event.seq));
  }
}

export class FakeOutput implements AgentOutput {
  readonly channel: number;
  readonly fromOffset: number;
  acked = 0;
  wasReset = false;
  #handlers:
    { onChunk: (chunk: OutputChunk) => void; onEnd: () => void; onLost: (error: Error) => void } | undefined;
  #offset: number;
  #ended = false;

  constructor(channel: number, fromOffset: number) {
    this.channel = channel;
    this.fromOffset = fromOffset;
    this.#offset = fromOffset;
  }

  consume(handlers: {
    onChunk: (chunk: OutputChunk) => void;
    onEnd: () => void;
    onLost: (error: Error) => void;
  }): void {
    this.#handlers = handlers;
  }

  ack(offset: number): void {
    this.acked = offset;
  }

  reset(): void {
    this.wasReset = true;
    this.end();
  }

  write(text: string): void {
    const data = Buffer.from(text);
    this.#handlers?.onChunk({ data, offset: this.#offset });
    this.#offset += data.length;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers?.onEnd();
  }

  lose(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers?.onLost(new Error('the VM is gone'));
  }
}

export class FakeInput implements AgentInput {
  readonly channel: number;
  text = '';
  ended = false;

  constructor(channel: number) {
    this.channel = channel;
  }

  write(data: Buffer): Promise<void> {
    this.text += data.toString();
    return Promise.resolve();
  }

  end(): void {
    this.ended = true;
  }
}

export class FakeVm implements Vm {
  readonly id: string;
  readonly pid = 1;
  state: VmState = { kind: 'Idle' };
  readonly used = false;
  held = false;
  sharesFiles = false;
  readonly resources = { memoryBytes: 2 ** 30, cpus: 2 };
  readonly nics = [
    { index: 0, tapName: 'tap0' },
    { index: 1, tapName: 'tap1' },
  ];
  readonly agent = new FakeAgent();
  readonly ended: Promise<VmEnd>;
  readonly calls: string[] = [];
  plugFailure: Error | undefined;
  hindered: string | undefined;
  isEnded = false;
  #settle: (end: VmEnd) => void = () => undefined;
  readonly #disks = new Map<string, number>();

  constructor(id: string) {
    this.id = id;
    this.ended = new Promise((resolve) => (this.#settle = resolve));
  }

  associate(podId: string): Promise<void> {
    this.state = { kind: 'Associated', podId };
    this.held = false;
    return Promise.resolve();
  }

  hold(): Promise<void> {
    this.held = true;
    return Promise.resolve();
  }

  release({ hold }: { hold: boolean }): Promise<void> {
    this.state = { kind: 'Idle' };
    this.held = hold;
    return Promise.resolve();
  }

  plugDisks(disks: readonly VmDisk[]): Promise<number[]> {
    if (this.plugFailure !== undefined) return Promise.reject(this.plugFailure);
    const first = this.#disks.size;
    disks.forEach((disk, index) => this.#disks.set(disk.id, first + index));
    return Promise.resolve(disks.map((_, index) => first + index));
  }

  unplugDisks(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#disks.delete(id);
    return Promise.resolve();
  }

  pluggedDisks(): ReadonlyMap<string, number> {
    return this.#disks;
  }

  shareFiles(): Promise<void> {
    this.calls.push('shareFiles');
    return Promise.resolve();
  }

  unshareFiles(prefix: string): Promise<void> {
    this.calls.push(`unshareFiles ${prefix}`);
    return Promise.resolve();
  }

  protectShares(): Promise<void> {
    return Promise.resolve();
  }

  readConsole(): Promise<string> {
    return Promise.resolve('');
  }

  hindrance(): Promise<string | undefined> {
    return Promise.resolve(this.hindered);
  }

  save(): Promise<never> {
    return Promise.reject(new Error('a fake VM has no state'));
  }

  resizeDisk(): Promise<void> {
    return Promise.resolve();
  }

  pause(): Promise<void> {
    this.calls.push('pause');
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.calls.push('resume');
    return Promise.resolve();
  }

  end(): Promise<void> {
    this.#finish({ cause: 'requested', message: 'ended' });
    return Promise.resolve();
  }

  crash(): void {
    this.#finish({ cause: 'crashed', message: 'killed by SIGKILL' });
  }

  #finish(end: VmEnd): void {
    for (const output of this.agent.outputs.values()) output.lose();
    this.agent.close(new Error('the VM is gone'));
    this.isEnded = true;
    this.#settle(end);
  }
}

/** A VM as the next daemon finds it. It answers at once, or with `answer`, or not while `hindrance` is set. */
export class FoundFakeVm implements FoundVm {
  readonly id: string;
  readonly state: VmState;
  readonly disks: readonly string[];
  readonly answered: Promise<Vm | undefined>;
  hindered: { reason: string; forMs: number } | undefined;
  isEnded = false;
  readonly #vm: FakeVm;
  #answer: (vm: Vm | undefined) => void = () => undefined;

  constructor(vm: FakeVm, options: { answers: boolean } = { answers: true }) {
    this.id = vm.id;
    this.state = vm.state;
    this.disks = [...vm.pluggedDisks().keys()];
    this.#vm = vm;
    this.answered = new Promise((resolve) => (this.#answer = resolve));
    if (options.answers) this.answer();
  }

  answer(): void {
    this.#answer(this.#vm);
  }

  /** It never will. */
  giveUp(): void {
    this.#answer(undefined);
  }

  hindrance(): { reason: string; forMs: number } | undefined {
    return this.hindered;
  }

  end(): Promise<void> {
    this.isEnded = true;
    this.giveUp();
    return Promise.resolve();
  }
}

export class FakeVmPool implements VmPool {
  readonly vms: FakeVm[] = [];
  /** Called with each new VM before it is handed out. */
  prepare: (vm: FakeVm) => void = () => undefined;
  failure: Error | undefined;

  async acquire(podId: string): Promise<Vm> {
    if (this.failure !== undefined) throw this.failure;
    const vm = new FakeVm(`vm${String(this.vms.length)}`);
    this.vms.push(vm);
    this.prepare(vm);
    await vm.associate(podId);
    return vm;
  }

  async take(vmId: string, podId: string): Promise<Vm> {
    const vm = this.vms.find(({ id }) => id === vmId);
    if (vm === undefined) throw new DaemonError('NotFound', `No such VM: ${vmId}`);
    await vm.associate(podId);
    return vm;
  }

  restore(...[]: Parameters<VmPool['restore']>): Promise<Vm> {
    return Promise.reject(new Error('a fake VM has no state'));
  }

  async hold(): Promise<Vm> {
    const vm = new FakeVm(`vm${String(this.vms.length)}`);
    this.vms.push(vm);
    await vm.hold();
    return vm;
  }

  find(vmId: string): Vm | undefined {
    return this.vms.find(({ id }) => id === vmId);
  }

  list(): Vm[] {
    return this.vms.filter(({ isEnded }) => !isEnded);
  }

  unanswered: readonly UnansweredVm[] = [];

  recover(): Promise<FoundVms> {
    return Promise.resolve({ vms: [], straysEnded: Promise.resolve() });
  }

  start(): void {
    return;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  status(): ReturnType<VmPool['status']> {
    return {
      accelerator: 'tcg',
      acceleratorReason: '',
      idle: 0,
      associated: 0,
      template: false,
      factory: { poolSize: 0, default: { memoryBytes: 2 ** 30, cpus: 2 }, templates: [] },
    };
  }

  get last(): FakeVm {
    const vm = this.vms.at(-1);
    if (vm === undefined) throw new Error('no VM was acquired');
    return vm;
  }
}

/** Only what the lifecycles call; anything else throws. */
export class FakeNetworks {
  readonly endpoints = new Map<string, Endpoint>();
  readonly requests: EndpointRequest[] = [];
  readonly attached: string[] = [];
  readonly published: string[] = [];
  readonly inherited: [string, string][] = [];
  readonly hostGateway = '172.17.0.1';
  readonly namespacePath = '';
  allocateFailure: Error | undefined;
  attachFailure: Error | undefined;
  publishFailure: Error | undefined;

  resolve(ref: string): { id: string; name: string; driver: 'bridge' | 'host' | 'null'; internal: boolean } {
    const driver = ref === 'none' ? 'null' : ref === 'host' ? 'host' : 'bridge';
    if (!['bridge', 'host', 'none', 'mynet'].includes(ref)) {
      throw new DaemonError('NotFound', `network ${ref} not found`);
    }
    return { id: `id-of-${ref}`, name: ref, driver, internal: false };
  }

  allocate(request: EndpointRequest): Promise<Endpoint> {
    if (this.allocateFailure !== undefined) return Promise.reject(this.allocateFailure);
    this.requests.push(request);
    const endpoint: Endpoint = {
      id: `ep-${request.containerId}`,
      networkId: request.networkId,
      networkName: 'bridge',
      containerId: request.containerId,
      macAddress: '02:42:ac:11:00:02',
      ipv4Address: '172.17.0.2',
      ipv4PrefixLength: 16,
      ipv4Gateway: '172.17.0.1',
      ipv6Address: '',
      ipv6PrefixLength: 0,
      ipv6Gateway: '',
      mtu: 1500,
      dnsServers: ['172.17.0.1'],
      aliases: [],
    };
    this.endpoints.set(`${request.networkId}/${request.containerId}`, endpoint);
    return Promise.resolve(endpoint);
  }

  inherit(from: string, to: string): void {
    this.inherited.push([from, to]);
  }

  release(networkId: string, containerId: string): Promise<void> {
    this.endpoints.delete(`${networkId}/${containerId}`);
    return Promise.resolve();
  }

  endpointsOf(containerId: string): Endpoint[] {
    return [...this.endpoints.values()].filter((endpoint) => endpoint.containerId === containerId);
  }

  attach(_endpoint: Endpoint, tapName: string): Promise<void> {
    if (this.attachFailure !== undefined) return Promise.reject(this.attachFailure);
    this.attached.push(tapName);
    return Promise.resolve();
  }

  detach(tapName: string): Promise<void> {
    const index = this.attached.indexOf(tapName);
    if (index >= 0) this.attached.splice(index, 1);
    return Promise.resolve();
  }

  publish(containerId: string, _endpoint: Endpoint, ports: unknown[]): Promise<unknown[]> {
    if (this.publishFailure !== undefined) return Promise.reject(this.publishFailure);
    this.published.push(containerId);
    return Promise.resolve(ports);
  }

  unpublish(containerId: string): Promise<void> {
    const index = this.published.indexOf(containerId);
    if (index >= 0) this.published.splice(index, 1);
    return Promise.resolve();
  }

  resolvConf(): string {
    return 'nameserver 10.0.2.3\n';
  }
}

export class FakeDocuments implements DocumentStore {
  readonly collections = new Map<string, Map<string, string>>();

  put(collection: string, id: string, value: object): void {
    let documents = this.collections.get(collection);
    if (documents === undefined) this.collections.set(collection, (documents = new Map<string, string>()));
    documents.set(id, JSON.stringify(value));
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as in the interface
  get<T>(collection: string, id: string): T | undefined {
    const text = this.collections.get(collection)?.get(id);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  all<T>(collection: string): T[] {
    return [...(this.collections.get(collection)?.values() ?? [])].map((text) => JSON.parse(text) as T);
  }

  delete(collection: string, id: string): void {
    this.collections.get(collection)?.delete(id);
  }

  transaction<T>(work: () => T): T {
    return work();
  }

  close(): void {
    return;
  }
}

export class FakeDisks implements WritableDiskStore {
  readonly disks = new Set<string>();
  failure: Error | undefined;
  removeFailure: Error | undefined;

  create(containerId: string): Promise<string> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.disks.add(containerId);
    return Promise.resolve(this.path(containerId));
  }

  path(containerId: string): string {
    return `/disks/${containerId}`;
  }

  usageBytes(): Promise<number> {
    return Promise.resolve(4096);
  }

  fileBytes(): Promise<number> {
    return Promise.resolve(4096);
  }

  remove(containerId: string): Promise<void> {
    if (this.removeFailure !== undefined) return Promise.reject(this.removeFailure);
    this.disks.delete(containerId);
    return Promise.resolve();
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.disks]);
  }
}

export class FakeLayers {
  readonly references = new Map<string, readonly string[]>();

  bundle(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  diskPaths(diffIds: readonly string[]): string[] {
    return diffIds.map((id) => `/layers/${id}`);
  }

  sizeBytes(): number {
    return 1000;
  }

  reference(ownerId: string, diffIds: readonly string[]): void {
    this.references.set(ownerId, diffIds);
  }

  unreference(ownerId: string): void {
    this.references.delete(ownerId);
  }

  owners(): string[] {
    return [...this.references.keys()];
  }
}

export const busyboxImage: Image = {
  id: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  config: {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Env: ['PATH=/bin', 'FROM_IMAGE=1'], Labels: { image: 'yes' } },
    rootfs: { type: 'layers', diff_ids: ['sha256:aaa', 'sha256:bbb'] },
  },
  repoTags: ['busybox:latest'],
  repoDigests: [],
  sizeBytes: 1000,
  parentId: '',
  lastTagTimeMs: 0,
};

class FakeImages {
  get(ref: string): Image {
    const found = this.find(ref);
    if (found === undefined) throw new DaemonError('NotFound', `No such image: ${ref}:latest`);
    return found;
  }

  find(ref: string): Image | undefined {
    return ['busybox', 'busybox:latest', busyboxImage.id].includes(ref) ? busyboxImage : undefined;
  }

  list(): Image[] {
    return [busyboxImage];
  }

  removeUnusedLayers(): Promise<void> {
    return Promise.resolve();
  }
}

/** Of a daemon without options. */
export const plainDefaults: ContainerDefaults = {
  init: false,
  noNewPrivileges: false,
  ulimits: [],
  logDriver: 'json-file',
  logOptions: {},
  dns: [],
  dnsOptions: [],
  dnsSearch: [],
  ipcMode: 'private',
  cgroupnsMode: undefined,
  seccompProfile: undefined,
};

export const plainNetworks: NetworkDefaults = {
  bridgeAddress: undefined,
  fixedCidr: undefined,
  mtu: 1500,
  interContainer: true,
  hostBindingAddress: '0.0.0.0',
  hostNetworking: true,
  hostRoutes: false,
  hostGatewayAddress: undefined,
  addressPools: [],
};

/** A whole engine on fakes. Call `dispose` at the end of the test. */
export class TestEngine {
  readonly dataRoot: string;
  readonly documents: FakeDocuments;
  readonly disks: FakeDisks;
  readonly layers = new FakeLayers();
  readonly networks = new FakeNetworks();
  readonly vms = new FakeVmPool();
  readonly events = new EventBus(new EventHistory());
  readonly published: { action: string; attributes: Record<string, string> }[] = [];
  readonly registry: ContainerRegistry;
  readonly parts: Engine;
  readonly execs: Execs;
  readonly stats: GuestStats;
  readonly logs: ContainerLogStore;
  readonly containers: Containers;

  /** With another's documents, disks and logs: the daemon after a restart. */
  constructor(earlier?: Pick<TestEngine, 'documents' | 'disks' | 'dataRoot'>) {
    this.dataRoot = earlier?.dataRoot ?? mkdtempSync(join(tmpdir(), 'caisson-engine-test-'));
    this.documents = earlier?.documents ?? new FakeDocuments();
    this.disks = earlier?.disks ?? new FakeDisks();
    this.registry = new ContainerRegistry(this.documents);
    this.events.listen((event) =>
      this.published.push({ action: event.Action, attributes: event.Actor.Attributes }),
    );
    const logs = (this.logs = new ContainerLogStore(this.dataRoot, '/no/such'));
    ({
      engine: this.parts,
      execs: this.execs,
      stats: this.stats,
    } = createEngine({
      config: {
        hosts: [],
        experimental: false,
        dataRoot: this.dataRoot,
        emulatorDir: '/no/such',
        writableDiskBytes: 2 ** 30,
        vmCpus: 2,
        vmMemoryBytes: 2 ** 30,
        defaultShmBytes: 64 * 2 ** 20,
        containerDefaults: plainDefaults,
        networkDefaults: plainNetworks,
      },
      registry: this.registry,
      events: this.events,
      logs,
      // The fakes implement what the lifecycles use.
      images: new FakeImages() as unknown as ImageStore,
      layers: this.layers as unknown as LayerStore,
      disks: this.disks,
      networks: this.networks as unknown as NetworkManager,
      vms: this.vms,
      volumes: new VolumeStore(this.documents, this.dataRoot),
    }));
    this.containers = new Containers({
      engine: this.parts,
      logs,
      health: { health: () => undefined },
      stats: this.stats,
    });
  }

  async create(body: ContainerCreateBody = {}, name?: string): Promise<string> {
    const created = await this.containers.create(
      { Image: 'busybox', Cmd: ['sleep', '1'], ...body },
      { version: { major: 1, minor: 41 }, ...(name === undefined ? {} : { name }) },
    );
    return created.Id;
  }

  async running(body: ContainerCreateBody = {}, name?: string): Promise<string> {
    const id = await this.create(body, name);
    await this.containers.start(id, {});
    return id;
  }

  /** Resolves when the container's queue and all background work are done. */
  async settled(id: string): Promise<void> {
    await this.registry.byId(id)?.operations.run(() => Promise.resolve());
    await this.parts.background.settled();
  }

  state(id: string): string {
    return this.registry.byId(id)?.state.kind ?? 'gone';
  }

  actions(): string[] {
    return this.published.map(({ action }) => action);
  }

  dispose(): void {
    this.parts.restarts.cancelAll();
    rmSync(this.dataRoot, { recursive: true, force: true });
  }
}

/** A client whose input is `input` (then it half-closes, unless `stays`), and whose output is kept. */
export function fakeClient(input?: string[], options: { stays?: boolean } = {}): FakeClient {
  return new FakeClient(input, options.stays ?? false);
}

export class FakeClient implements StreamClient {
  readonly stdin: AsyncIterable<Buffer> | undefined;
  readonly signal: AbortSignal;
  stdout = '';
  stderr = '';
  readonly #gone = new AbortController();

  constructor(input: string[] | undefined, stays: boolean) {
    this.signal = this.#gone.signal;
    const { signal } = this;
    this.stdin =
      input === undefined
        ? undefined
        : (async function* () {
            for (const text of input) yield Buffer.from(text);
            if (stays) await new Promise((resolve) => signal.addEventListener('abort', resolve));
          })();
  }

  write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    this[stream] += data.toString();
    return Promise.resolve();
  }

  leave(): void {
    this.#gone.abort();
  }
}
