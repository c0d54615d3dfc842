// A RUN as LLB: an exec operation with its mounts.

import { cacheSharing, mountType, networkMode, securityMode, type ExecOp } from '../../messages/ops';
import type { Init } from '../../wire/codec';
import { scriptDirectory } from '../stages/run-plan';
import type { Origin, PlannedMount, RunStep } from '../stages/plan';
import type { GraphWriter, Output } from './graph-writer';

type MountInit = NonNullable<Init<typeof ExecOp>['mounts']>[number];

export interface RunSurroundings {
  readonly writer: GraphWriter;
  readonly filesOf: (origin: Origin) => Output | undefined;
  /** Before the ids of cache mounts: `BUILDKIT_CACHE_MOUNT_NS`. */
  readonly cacheNamespace: string;
}

const none = -1;
const sharedMemoryPath = '/dev/shm';

/** What the command leaves. */
export function runOutput(step: RunStep, root: Output | undefined, around: RunSurroundings): Output {
  const inputs: Output[] = [];
  /** Equal inputs are one. */
  const inputOf = (output: Output | undefined): number => {
    if (output === undefined) return none;
    const there = inputs.findIndex(({ digest, index }) => digest === output.digest && index === output.index);
    if (there >= 0) return there;
    inputs.push(output);
    return inputs.length - 1;
  };
  const mounts: MountInit[] = [{ dest: '/', input: inputOf(root), output: 0 }];
  const secretenv: { ID: string; name: string; optional: boolean }[] = [];
  const env = [...step.env];
  for (const mount of step.mounts) {
    switch (mount.type) {
      case 'bind':
        mounts.push({ ...bindMount(mount), input: inputOf(around.filesOf(mount.origin)) });
        break;
      case 'cache': {
        const { input, selector } = cacheFiles(mount, around);
        const id = `${around.cacheNamespace}/${mount.id === '' ? mount.target : mount.id}`;
        mounts.push({
          dest: mount.target,
          input: inputOf(input),
          selector,
          output: none,
          readonly: mount.readonly,
          mountType: mountType.cache,
          cacheOpt: { ID: id, sharing: cacheSharing[mount.sharing] },
        });
        break;
      }
      case 'tmpfs':
        mounts.push(tmpfsMount(mount.target, mount.sizeBytes));
        break;
      case 'secret': {
        const { id, target } = mount;
        if (mount.env !== '') secretenv.push({ ID: id, name: mount.env, optional: !mount.isRequired });
        if (target === '') break;
        mounts.push({
          dest: target,
          input: none,
          output: none,
          mountType: mountType.secret,
          secretOpt: { ID: id, ...ownership(mount, 0o400), optional: !mount.isRequired },
        });
        break;
      }
      case 'ssh': {
        const { target: dest, id: ID } = mount;
        if (!env.some((entry) => entry.startsWith('SSH_AUTH_SOCK='))) env.push(`SSH_AUTH_SOCK=${dest}`);
        mounts.push({
          dest,
          input: none,
          output: none,
          mountType: mountType.ssh,
          SSHOpt: {
            ID,
            ...ownership(mount, 0o600),
            optional: !mount.isRequired,
          },
        });
        break;
      }
    }
  }
  if (step.script !== undefined) {
    const { name, content } = step.script;
    const data = Buffer.from(content);
    const file = { path: `/${name}`, data, mode: 0o755, timestamp: -1n };
    const action = {
      input: none,
      secondaryInput: none,
      output: 0,
      action: { kind: 'mkfile' as const, value: file },
    };
    const input = inputOf(
      around.writer.add({ op: { kind: 'file', value: { actions: [action] } } }, [], {
        name: '[internal] preparing inline document',
      }),
    );
    mounts.push({ dest: `${scriptDirectory}/`, selector: '/', input, output: none, readonly: true });
  }
  if (step.shmSizeBytes > 0) mounts.push(tmpfsMount(sharedMemoryPath, step.shmSizeBytes));
  return around.writer.add(
    {
      op: {
        kind: 'exec',
        value: {
          meta: {
            args: step.args,
            env,
            cwd: step.workingDir,
            user: step.user,
            hostname: step.hostname,
            extraHosts: step.extraHosts,
            ulimit: step.ulimits,
            cgroupParent: step.cgroupParent,
            removeMountStubsRecursive: true,
            ...(step.proxies.size === 0 ? {} : { proxy_env: Object.fromEntries(step.proxies) }),
          },
          mounts,
          network: networkMode[step.network],
          security: step.isInsecure ? securityMode.insecure : securityMode.sandbox,
          secretenv,
        },
      },
      platform: step.platform,
    },
    inputs,
    {
      name: step.title,
      lines: [step.lines],
      ignoresCache: step.ignoresCache,
      description: [['com.docker.dockerfile.v1.command', step.command]],
    },
  );
}

function bindMount({ target, source, readonly }: PlannedMount): MountInit {
  return {
    dest: target,
    selector: source === '/' ? '' : source,
    output: none,
    readonly,
  };
}

function tmpfsMount(dest: string, sizeBytes: number): MountInit {
  return {
    dest,
    input: none,
    output: none,
    mountType: mountType.tmpfs,
    TmpfsOpt: { size: sizeBytes },
  };
}

/** What an empty cache begins with: the files it is told to, or a directory of the owner and mode it is told to have. */
function cacheFiles(
  mount: PlannedMount,
  { writer, filesOf }: RunSurroundings,
): { input: Output | undefined; selector: string } {
  const { origin, uid, gid, mode, source } = mount;
  if (origin.kind !== 'scratch' || (uid === undefined && gid === undefined && mode === undefined))
    return { input: filesOf(origin), selector: source === '/' ? '' : source };
  const path = source === '' || source === '/' ? '/cache' : source;
  const directory = {
    path,
    mode: mode ?? 0o755,
    makeParents: path !== '/cache',
    timestamp: -1n,
    owner: {
      user: { user: { kind: 'byID' as const, value: uid ?? 0 } },
      group: { user: { kind: 'byID' as const, value: gid ?? 0 } },
    },
  };
  const action = {
    input: none,
    secondaryInput: none,
    output: 0,
    action: { kind: 'mkdir' as const, value: directory },
  };
  const input = writer.add({ op: { kind: 'file', value: { actions: [action] } } }, [], {
    name: '[internal] settings cache mount permissions',
  });
  return { input, selector: path };
}

function ownership(
  { uid = 0, gid = 0, mode }: PlannedMount,
  otherwise: number,
): { uid: number; gid: number; mode: number } {
  return { uid, gid, mode: mode ?? otherwise };
}
