// ExecOp: everything of a step up to the executor's call. Contents of secrets are nowhere but in that call.

import type { FileTree } from '../../../builder/file-tree';
import { walk } from '../../../builder/file-tree';
import { goQuote } from '../../../go/quote';
import { BuildError } from '../../contract/errors';
import type { ExecOutcome, ExecOutput, ExecStep, Executor, StepMount } from '../../contract/executor';
import { cacheSharing, contentCache, mountType, networkMode, securityMode } from '../../messages/ops';
import type { ExecOp, Mount, Platform } from '../../contract/llb';
import type { SessionCaller } from '../../contract/session';
import type { ContainerRun, Entitlement } from '../../contract/solver';
import type { CacheMountLease } from '../cache/cache-mounts';
import type { SelectedFile } from '../files/content-digests';
import { emptyLayer } from '../files/layer-trees';
import { FailedRun } from './failed-run';
import type { Operation, OperationOutput, RunContext, StepResult } from './operation';

const maxMounts = 256;
const maxSecretBytes = 500 * 1024;

/** Throws InvalidArgument, Unimplemented or PermissionDenied for what may not run. */
export function execOperation(
  given: ExecOp,
  options: {
    inputCount: number;
    keyBytes: Buffer;
    platform: Platform | undefined;
    entitlements: ReadonlySet<Entitlement>;
  },
): Operation {
  const { inputCount, keyBytes } = options;
  const op = withoutFiles(given);
  checkStep(op, inputCount, options.entitlements);
  return {
    name: (op.meta?.args ?? []).join(' ').slice(0, 4096),
    keyBytes,
    recordType: 'regular',
    isStep: true,
    sharesVm: !isAlone(op),
    selected: (input, tree) => selectedFiles(op, input, tree),
    run: (inputs, context, signal) => new StepRun(op, options.platform, inputs, context, signal).run(),
  };
}

/** Checked as a step is: throws InvalidArgument, Unimplemented or PermissionDenied for what may not run. */
export async function runContainer(
  { op: given, platform, terminal, files }: Omit<ContainerRun, 'refs'>,
  inputs: readonly StepResult[],
  context: RunContext,
  output: ExecOutput,
  signal: AbortSignal,
): Promise<number> {
  const op = withoutFiles({ ...given, mounts: given.mounts.map((mount) => ({ ...mount, output: -1 })) });
  checkStep(op, inputs.length, context.scope.entitlements);
  return new StepRun(op, platform, inputs, context, signal).converse({ terminal, files }, output);
}

/** Secrets and agents are no files of an input: what clients leave at zero there means nothing. */
function withoutFiles(op: ExecOp): ExecOp {
  const isClients = ({ mountType: type }: Mount): boolean =>
    type === mountType.secret || type === mountType.ssh;
  const mounts = op.mounts.map((mount) => (isClients(mount) ? { ...mount, input: -1, output: -1 } : mount));
  return { ...op, mounts };
}

/** As far as is known before the client was asked for what may be missing. */
function isAlone({ mounts, secretenv, security }: ExecOp): boolean {
  const asksClient = mounts.some(
    ({ mountType: type }) => type === mountType.secret || type === mountType.ssh,
  );
  return asksClient || secretenv.length > 0 || security === securityMode.insecure;
}

/** The operation as it counts: where caches and hosts are, and what is asked how, is not part of it. */
export function countedExec(op: ExecOp): ExecOp {
  return {
    ...op,
    ...(op.meta === undefined
      ? {}
      : {
          meta: {
            ...op.meta,
            proxy_env: undefined,
            extraHosts: op.meta.extraHosts.map(({ Host }) => ({ Host, IP: '' })),
          },
        }),
    mounts: op.mounts.map((mount) => ({
      ...mount,
      ...(mount.cacheOpt === undefined ? {} : { cacheOpt: { ID: '', sharing: 0 } }),
    })),
  };
}

function checkStep(op: ExecOp, inputCount: number, entitlements: ReadonlySet<Entitlement>): void {
  const { meta, mounts } = op;
  if (meta === undefined || meta.args.length === 0) throw invalid('exec operation without arguments');
  if (mounts.length > maxMounts) throw invalid(`more than ${maxMounts} mounts`);
  const root = mounts.find(({ dest }) => dest === '/');
  if (root === undefined) throw invalid('exec operation without a root mount');
  if (root.mountType !== mountType.bind || root.selector !== '') throw invalid('invalid root mount');
  const outputs = mounts.map(({ output }) => output).filter((output) => output !== -1);
  if (
    outputs.some((output) => output < 0 || output >= outputs.length) ||
    new Set(outputs).size !== outputs.length
  )
    throw invalid('invalid outputs of mounts');
  for (const { input, dest, mountType: type, output } of mounts) {
    if (input < -1 || input >= inputCount) throw invalid(`invalid mount input ${input}`);
    if (!Object.values<number>(mountType).includes(type)) throw invalid(`mount type ${type} is not known`);
    const mayBeAnywhere = type === mountType.secret || type === mountType.ssh;
    if (dest === '' || dest.includes('\0') || (!dest.startsWith('/') && mayBeAnywhere))
      throw invalid(`invalid mount destination ${JSON.stringify(dest.slice(0, 200))}`);
    if (output !== -1 && type !== mountType.bind) throw invalid('only bind mounts have outputs');
  }
  if (op.cdiDevices.length > 0) throw new BuildError('Unimplemented', 'devices of steps are not supported');
  if (!Object.values<number>(networkMode).includes(op.network)) throw invalid(`network mode ${op.network}`);
  if (op.network === networkMode.host) requireEntitlement(entitlements, 'network.host');
  if (!Object.values<number>(securityMode).includes(op.security))
    throw invalid(`invalid security mode: ${op.security}`);
  if (op.security !== securityMode.sandbox) requireEntitlement(entitlements, 'security.insecure');
}

function requireEntitlement(entitlements: ReadonlySet<Entitlement>, wanted: Entitlement): void {
  if (!entitlements.has(wanted)) throw new BuildError('PermissionDenied', `${wanted} is not allowed`);
}

/** Mounts that are only read count by their files; what may be written to counts by what it was made of. */
function selectedFiles(
  op: ExecOp,
  input: number,
  tree: () => Promise<FileTree>,
): Promise<readonly SelectedFile[]> | undefined {
  const mounts = op.mounts.filter((mount) => mount.input === input);
  if (!mounts.every(countsByContent)) return undefined;
  return tree().then((files) =>
    mounts.flatMap(({ selector, dest }) => {
      const node = files.find(selector);
      if (node === undefined) throw new BuildError('NotFound', `"${selector}": not found`);
      const below = node.kind === 'directory' ? [...walk(node)] : [];
      return [{ path: '', node }, ...below].map((file) => ({ ...file, path: `${dest}:${file.path}` }));
    }),
  );
}

function countsByContent(mount: Mount): boolean {
  if (mount.mountType !== mountType.bind || mount.contentCache === contentCache.off) return false;
  if (mount.contentCache === contentCache.on) return true;
  return mount.readonly && mount.output === -1 && mount.dest !== '/';
}

/** Steps whose result is in the cache don't come here: another machine may have made it. */
function requireRunnable(executor: Pick<Executor, 'runs'>, platform: Platform | undefined): void {
  const { OS = '', Architecture = '', Variant = '' } = platform ?? {};
  if (executor.runs(Architecture)) return;
  const name = [OS, Architecture, Variant].filter((part) => part !== '').join('/');
  throw new BuildError(
    'Unimplemented',
    `commands of ${name.slice(0, 100)} do not run here: VMs have this host's processor, and there is no emulator of that one on the ` +
      "host (Debian's package qemu-user-static). Without one, let the stage be FROM --platform=$BUILDPLATFORM, compile for the target " +
      'in it, and copy from it',
  );
}

class StepRun {
  readonly #op: ExecOp;
  readonly #platform: Platform | undefined;
  readonly #inputs: readonly StepResult[];
  readonly #context: RunContext;
  readonly #signal: AbortSignal;
  readonly #leases: CacheMountLease[] = [];

  constructor(
    op: ExecOp,
    platform: Platform | undefined,
    inputs: readonly StepResult[],
    context: RunContext,
    signal: AbortSignal,
  ) {
    this.#op = op;
    this.#platform = platform;
    this.#inputs = inputs;
    this.#context = context;
    this.#signal = signal;
  }

  async run(): Promise<OperationOutput> {
    const context = this.#context;
    requireRunnable(context.host.executor, this.#platform);
    this.#warnOfCgroup();
    try {
      const { step, bases } = await this.#prepare({ mayShare: true });
      const output: ExecOutput = {
        write: (stream, bytes) => {
          context.log(stream, bytes);
        },
        running: () => {
          for (const lease of this.#leases) lease.filled();
        },
      };
      const outcome = await context.host.executor.run(step, output, this.#signal);
      try {
        for (const lease of this.#leases) lease.filled();
        this.#requireSuccess(outcome, bases);
        return { outputs: await this.#outputs(outcome, bases), vm: outcome.vm };
      } finally {
        outcome.release();
      }
    } finally {
      for (const lease of this.#leases) lease.release();
    }
  }

  /** Whatever its exit code. In a VM of its own, as those whose process is anybody's have one. */
  async converse(
    { terminal, files }: Pick<ContainerRun, 'terminal' | 'files'>,
    output: ExecOutput,
  ): Promise<number> {
    requireRunnable(this.#context.host.executor, this.#platform);
    try {
      const { step } = await this.#prepare({ mayShare: false });
      const given = files.map(({ path, content, mode }) => ({
        ...{ kind: 'secret' as const, dest: path, content, mode, uid: 0, gid: 0 },
      }));
      // nothing of it is kept, however it ends
      const mounts = step.mounts.map((mount) =>
        mount.kind === 'layers' ? { ...mount, keepsChanges: false } : mount,
      );
      const root = { ...step.root, keepsChanges: false };
      const alone = { ...step, root, after: '', alone: true, terminal, mounts: [...mounts, ...given] };
      const outcome = await this.#context.host.executor.run(alone, output, this.#signal);
      outcome.release();
      for (const lease of this.#leases) lease.filled();
      return outcome.exitCode;
    } finally {
      for (const lease of this.#leases) lease.release();
    }
  }

  #warnOfCgroup(): void {
    const { cgroupParent = '' } = this.#op.meta ?? {};
    if (cgroupParent === '') return;
    const short = 'cgroup-parent has no effect: steps run in the VMs of their build';
    this.#context.scope.progress.warning({ vertex: '', level: 1, short, detail: [], url: '', ranges: [] });
  }

  #requireSuccess(
    { exitCode, outOfMemory, changes }: ExecOutcome,
    bases: ReadonlyMap<Mount, readonly string[]>,
  ): void {
    const { args = [], validExitCodes = [] } = this.#op.meta ?? {};
    if (validExitCodes.length === 0 ? exitCode === 0 : validExitCodes.includes(exitCode)) return;
    const why = outOfMemory ? 'cannot allocate memory' : `exit code: ${exitCode}`;
    const error = new BuildError(
      'Unknown',
      `process ${goQuote(args.join(' '))} did not complete successfully: ${why}`,
    );
    this.#context.holds.add([...changes.values()]);
    throw new FailedRun(error, {
      inputs: this.#op.mounts.map(({ input }) => this.#inputs[input]),
      mounts: this.#op.mounts.map((mount) => {
        if (mount.mountType !== mountType.bind) return undefined;
        const changed = changes.get(mount.dest);
        return [...(bases.get(mount) ?? []), ...(changed === undefined ? [] : [changed])];
      }),
    });
  }

  async #outputs(
    { changes }: ExecOutcome,
    bases: ReadonlyMap<Mount, readonly string[]>,
  ): Promise<(readonly string[])[]> {
    const { holds, trees } = this.#context;
    holds.add([...changes.values()]);
    const outputs: (readonly string[])[] = [];
    for (const [mount, base] of bases) {
      if (mount.output < 0) continue;
      const diffId = changes.get(mount.dest) ?? (await trees.storeEmpty(holds, this.#signal));
      outputs[mount.output] = [...base, diffId];
    }
    return outputs;
  }

  /** `mayShare`: caches with steps that are in its VM then. */
  async #prepare({
    mayShare,
  }: {
    mayShare: boolean;
  }): Promise<{ step: ExecStep; bases: ReadonlyMap<Mount, readonly string[]> }> {
    const { mounts, meta, secretenv } = this.#op;
    const { scope, resources } = this.#context;
    const signal = this.#signal;
    const root = mounts.find(({ dest }) => dest === '/');
    if (meta === undefined || root === undefined) throw invalid('exec operation without a root mount');
    const bases = new Map<Mount, readonly string[]>();
    for (const mount of mounts) bases.set(mount, (await this.#inputs[mount.input]?.layers(signal)) ?? []);
    const others: StepMount[] = [];
    // one after the other in the order of their ids, so that two steps never wait for each other's
    const leases = await this.#leaseAll(mounts, bases, mayShare);
    for (const mount of mounts) {
      if (mount === root) continue;
      const made = await this.#mount(mount, bases.get(mount) ?? [], leases.get(mount));
      if (made !== undefined) others.push(made);
    }
    const secretEnv: string[] = [];
    for (const { ID, name, optional } of secretenv) {
      const value = await this.#secret(ID, optional);
      if (value !== undefined) secretEnv.push(`${name}=${value.toString()}`);
    }
    const vm = this.#inputs[root.input]?.vm;
    const asksClient = others.some(({ kind }) => kind === 'secret' || kind === 'ssh') || secretEnv.length > 0;
    const insecure = this.#op.security === securityMode.insecure;
    const step: ExecStep = {
      buildId: scope.id,
      after: vm?.buildId === scope.id ? vm.id : '',
      alone: asksClient || insecure,
      architecture: this.#platform?.Architecture ?? '',
      root: layersMount(root, bases.get(root) ?? []),
      mounts: others,
      args: meta.args,
      env: [...meta.env, ...proxyEnv(meta.proxy_env)],
      secretEnv,
      workingDir: meta.cwd === '' ? '/' : meta.cwd,
      user: meta.user,
      hostname: meta.hostname,
      network: networkOf(this.#op.network),
      insecure,
      terminal: false,
      extraHosts: meta.extraHosts.map(({ Host, IP }) => ({ host: Host, ip: IP })),
      ulimits: meta.ulimit.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
      cgroupParent: meta.cgroupParent,
      limits: {
        memoryBytes: resources?.memory ?? 0,
        memorySwapBytes: resources?.memorySwap ?? 0,
        cpuShares: resources?.cpuShares ?? 0,
        cpuPeriod: resources?.cpuPeriod ?? 0,
        cpuQuota: resources?.cpuQuota ?? 0,
        cpusetCpus: resources?.cpusetCpus ?? '',
        cpusetMems: resources?.cpusetMems ?? '',
      },
      removeMountStubs: meta.removeMountStubsRecursive,
    };
    return { step, bases };
  }

  async #leaseAll(
    mounts: readonly Mount[],
    bases: ReadonlyMap<Mount, readonly string[]>,
    mayShare: boolean,
  ): Promise<ReadonlyMap<Mount, CacheMountLease>> {
    const leases = new Map<Mount, CacheMountLease>();
    const wanted = mounts.filter((mount) => mount.mountType === mountType.cache);
    const idOf = (mount: Mount): string => cacheIdOf(mount)[0] ?? '';
    wanted.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
    /** A disk that is mounted twice in one step is one lease. */
    const byKey = new Map<string, CacheMountLease>();
    for (const mount of wanted) {
      const { OS = '', Architecture = '', Variant = '' } = this.#platform ?? {};
      const base = bases.get(mount) ?? [];
      const isPrivate = mount.cacheOpt?.sharing === cacheSharing.private;
      const key = JSON.stringify([idOf(mount), base]);
      let lease = isPrivate ? undefined : byKey.get(key);
      if (lease === undefined) {
        const platform = [OS, Architecture, Variant].filter((part) => part !== '').join('/');
        const sharedBy = mayShare && this.#shares(mount) ? this.#context.scope.id : undefined;
        const request = { id: idOf(mount), platform, base, isPrivate, sharedBy };
        lease = await this.#context.cacheMounts.lease(request, this.#signal);
        this.#leases.push(lease);
        byKey.set(key, lease);
      }
      leases.set(mount, lease);
    }
    return leases;
  }

  /** With a step that may be in the same VM. */
  #shares({ cacheOpt }: Mount): boolean {
    return !isAlone(this.#op) && (cacheOpt?.sharing ?? cacheSharing.shared) === cacheSharing.shared;
  }

  async #mount(
    mount: Mount,
    diffIds: readonly string[],
    lease: CacheMountLease | undefined,
  ): Promise<StepMount | undefined> {
    const { dest, selector, readonly } = mount;
    switch (mount.mountType) {
      case mountType.tmpfs:
        return { kind: 'tmpfs', dest, sizeBytes: mount.TmpfsOpt?.size ?? 0 };
      case mountType.cache: {
        if (lease === undefined) return undefined;
        const fill = lease.isNew && diffIds.length > 0 ? diffIds : undefined;
        return { kind: 'cache', dest, diskPath: lease.diskPath, fill, selector, readonly };
      }
      case mountType.secret: {
        const { ID = '', uid = 0, gid = 0, mode = 0, optional = false } = mount.secretOpt ?? {};
        const content = await this.#secret(ID, optional);
        return content && { kind: 'secret', dest, content, uid, gid, mode: mode & 0o777 };
      }
      case mountType.ssh: {
        const { ID = '', uid = 0, gid = 0, mode = 0, optional = false } = mount.SSHOpt ?? {};
        const caller = await this.#sshAgent(ID, optional);
        const connect = caller && (() => caller.connectSshAgent(ID));
        return connect && { kind: 'ssh', dest, uid, gid, mode: mode & 0o777, connect };
      }
      default:
        return layersMount(mount, diffIds);
    }
  }

  /**
   * The first session that has it tells. Of builds with this step it may be another's than the one that came first: bake gives a secret to
   * the target that it is for, and the step is in the graphs of those that build on it.
   */
  async #secret(id: string, isOptional: boolean): Promise<Buffer | undefined> {
    if (id === '') throw invalid('secret ID missing from mount options');
    const own = await this.#context.sessions(this.#signal);
    for (const session of new Set([...own, ...this.#context.otherSessions()])) {
      const content = await session.secret(id, this.#signal);
      if (content === undefined) continue;
      if (content.length > maxSecretBytes)
        throw new BuildError('ResourceExhausted', `secret ${id} is larger than ${maxSecretBytes} bytes`);
      return content;
    }
    if (isOptional) return undefined;
    throw new BuildError('NotFound', `secret ${id}: not found`);
  }

  async #sshAgent(id: string, isOptional: boolean): Promise<SessionCaller | undefined> {
    for (const session of await this.#context.sessions(this.#signal)) {
      try {
        await session.checkSshAgent(id, this.#signal);
        return session;
      } catch (error) {
        this.#signal.throwIfAborted();
        const isMissing =
          error instanceof BuildError && ['NotFound', 'Unimplemented', 'Unknown'].includes(error.code);
        if (!isMissing) throw error;
      }
    }
    if (isOptional) return undefined;
    throw new BuildError('NotFound', `unset ssh forward key ${id === '' ? 'default' : id}`);
  }
}

/** Of a cache mount, as graphs name it; none of others. */
export function cacheIdOf({ mountType: type, cacheOpt, dest }: Mount): string[] {
  if (type !== mountType.cache) return [];
  return [cacheOpt === undefined || cacheOpt.ID === '' ? dest : cacheOpt.ID];
}

function layersMount(mount: Mount, diffIds: readonly string[]): ExecStep['root'] {
  const { dest, selector, readonly, output } = mount;
  const mounted = diffIds.filter((diffId) => diffId !== emptyLayer);
  return {
    kind: 'layers',
    dest,
    diffIds: mounted,
    selector,
    readonly,
    keepsChanges: output >= 0 || 'ifFailed',
  };
}

function networkOf(mode: number): ExecStep['network'] {
  if (mode === networkMode.host) return 'host';
  return mode === networkMode.none ? 'none' : 'sandbox';
}

function proxyEnv(proxy: NonNullable<ExecOp['meta']>['proxy_env']): string[] {
  if (proxy === undefined) return [];
  return Object.entries(proxy).flatMap(([name, value]) =>
    value === '' ? [] : [`${name.toUpperCase()}=${value}`, `${name.toLowerCase()}=${value}`],
  );
}

function invalid(reason: string): BuildError {
  return new BuildError('InvalidArgument', reason);
}
