// A step of a build as a Pod. No record is made of it: nobody sees it but its build. Pure.

import { posix } from 'node:path';
import type { V1Container, V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { limitedTo } from '../../builder/limits';
import { BuildError } from '../../buildkit/contract/errors';
import type { ExecStep, StepMount } from '../../buildkit/contract/executor';
import type { ClusterSettings, Config } from '../../config';
import { defaultStepHostname, stepEnvironment } from '../../semantics/builds/step-words';
import { firstRecord } from '../../semantics/containers/first-record';
import { fillHostConfig, mergeImageConfig } from '../../semantics/create/defaults';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import { mergeEnvironment } from '../../translate/environment';
import type { GuestProcess } from '../../vm/contract/protocol';
import type { ClusterRecord, NodeSource } from '../contract/cluster-record';
import {
  mostSockets,
  runMount,
  supervisorDirectory,
  supervisorMount,
  type PodParts,
  type PodSocket,
} from '../contract/pod-parts';
import { podOf, processOf } from '../containers/pod-plan';
import { containerIdLabel } from '../records/container-form';

/** On the Pods of steps. */
export const stepLabel = 'caisson.io/build-step';
/** Becomes another as long as its daemon lives. */
export const beatAnnotation = 'caisson.io/build-beat';
/** The init container that is given the files of mounts. */
export const filesContainer = 'files';
/** Where they lie in it, each mount's in a directory of its own. */
const filesDirectory = '/mounts';
/** In the directory: what is mounted, a directory or a file. */
export const contentName = 'content';

/** A mount of the step that has files, and so a volume of the Pod. */
export interface FilledMount {
  readonly mount: Exclude<PlacedMount['mount'], { kind: 'tmpfs' }>;
  /** Absolute and clean. */
  readonly target: string;
  /** In the init container. */
  readonly directory: string;
}

type SocketMount = Extract<StepMount, { kind: 'ssh' }>;

interface PlacedMount {
  readonly mount: Exclude<StepMount, SocketMount>;
  readonly target: string;
  readonly volume: string;
}

/** Throws Unimplemented for what no Pod can have. */
export function refuseUnsupported(step: ExecStep): void {
  const refuse = (what: string, why: string): never => {
    throw new BuildError('Unimplemented', `${what} is not supported on a cluster: ${why}`);
  };
  if (step.network === 'none' && step.insecure)
    refuse(
      '--network=none with --security=insecure',
      'its Pod has a network, to which that would let it return',
    );
  if (step.network === 'host') refuse('--network=host', 'a step has an address of its own, not a node’s');
  for (const mount of step.mounts) {
    if (mount.kind === 'layers' && mount.keepsChanges === true)
      refuse(
        `a result of the mount at ${mount.dest.slice(0, 200)}`,
        'only what changes in the root is known there',
      );
  }
  if (socketMounts(step).length > mostSockets)
    refuse(`more than ${mostSockets} mounts of type ssh in one step`, 'its process 1 makes no more sockets');
}

function targetOf({ workingDir }: ExecStep, { dest }: StepMount): string {
  return posix.resolve('/', workingDir, dest);
}

/** Of a step's mounts those that are sockets, in the order in which its Pod has them. */
export function socketMounts({ mounts }: ExecStep): SocketMount[] {
  return mounts.filter((mount) => mount.kind === 'ssh');
}

/** The others. */
function placedMounts(step: ExecStep): PlacedMount[] {
  return step.mounts.flatMap((mount, i) =>
    mount.kind === 'ssh' ? [] : [{ mount, target: targetOf(step, mount), volume: `mount-${i}` }],
  );
}

/** Of a step's mounts those that have files. */
export function filledMounts(step: ExecStep): FilledMount[] {
  return placedMounts(step).flatMap(({ mount, target, volume }) =>
    mount.kind === 'tmpfs' ? [] : [{ mount, target, directory: `${filesDirectory}/${volume}` }],
  );
}

/** As a container's that never was: by it the Pod is made as all are. */
export function stepRecord(
  id: string,
  step: ExecStep,
  source: NodeSource,
  { containerDefaults }: Pick<Config, 'containerDefaults'>,
): ClusterRecord {
  const hostname = step.hostname === '' ? defaultStepHostname : step.hostname;
  const hostConfig = fillHostConfig({
    Privileged: step.insecure,
    ...(step.network === 'none' ? { NetworkMode: 'none' } : {}),
    ReadonlyRootfs: step.root.readonly,
    ExtraHosts: step.extraHosts.map(({ host, ip }) => `${host}:${ip}`),
    Ulimits: step.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    ...limitedTo(step.limits),
    Init: false,
  });
  const config = mergeImageConfig(
    {
      ...{ Entrypoint: [], Cmd: [...step.args], WorkingDir: step.workingDir },
      ...{ User: step.user, Tty: step.terminal },
    },
    {},
    hostname,
  );
  const first = firstRecord({
    id,
    image: {
      id: '',
      config: {
        ...{ architecture: 'amd64', os: 'linux' },
        rootfs: { type: 'layers', diff_ids: [...step.root.diffIds] },
      },
    },
    config,
    hostConfig: withRunDefaults(hostConfig, containerDefaults),
    ...{ links: undefined, warnings: [], logPath: '', writableDiskBytes: 0 },
    ...{ mounts: [], mountDetails: {}, networks: {} },
  });
  return { ...first, name: 'a step of a build', source };
}

/** What is secret goes to process 1 alone, when the step begins. */
export function stepProcess(record: ClusterRecord, step: ExecStep): GuestProcess {
  const env = mergeEnvironment(stepEnvironment(step.terminal), [...step.env, ...step.secretEnv]);
  return { ...processOf(record, []), env };
}

export function stepPod(
  record: ClusterRecord,
  step: ExecStep,
  settings: ClusterSettings,
  parts: readonly PodParts[],
): V1Pod {
  const pod = podOf(record, settings, [...parts, mountParts(step, settings.supervisorImage)]);
  // there is no container of which it is
  const known = Object.entries(pod.metadata?.labels ?? {}).filter(([name]) => name !== containerIdLabel);
  const labels = { ...Object.fromEntries(known), [stepLabel]: 'true' };
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels,
      annotations: { ...pod.metadata?.annotations, [beatAnnotation]: '0' },
    },
  };
}

function mountParts(step: ExecStep, supervisorImage: string): PodParts {
  const placed = placedMounts(step);
  const filled = filledMounts(step);
  // a mount below another one comes after it
  const inOrder = [...placed].sort((a, b) => (a.target < b.target ? -1 : 1));
  return {
    volumes: placed.map(volumeOf),
    mounts: inOrder.map(volumeMount),
    sockets: socketMounts(step).map((mount) => ({ ...socketOf(mount), path: targetOf(step, mount) })),
    ...(filled.length === 0
      ? {}
      : {
          volumes: [...placed.map(volumeOf), { name: 'files-run', emptyDir: {} }],
          initContainers: [filesInit(placed, supervisorImage)],
        }),
  };
}

function socketOf({ mode, uid, gid }: SocketMount): Omit<PodSocket, 'path'> {
  return { mode, uid, gid };
}

function volumeOf({ mount, volume }: PlacedMount): V1Volume {
  if (mount.kind === 'tmpfs')
    return {
      name: volume,
      emptyDir: {
        medium: 'Memory',
        ...(mount.sizeBytes > 0 ? { sizeLimit: String(mount.sizeBytes) } : {}),
      },
    };
  return { name: volume, emptyDir: mount.kind === 'secret' ? { medium: 'Memory' } : {} };
}

function volumeMount({ mount, target, volume }: PlacedMount): V1VolumeMount {
  if (mount.kind === 'tmpfs') return { name: volume, mountPath: target };
  const readOnly = mount.kind === 'secret' || mount.readonly;
  return { name: volume, mountPath: target, subPath: contentName, ...(readOnly ? { readOnly } : {}) };
}

/** Process 1 of ours: it takes the files, and ends when it is told that it has them all. */
function filesInit(placed: readonly PlacedMount[], image: string): V1Container {
  return {
    name: filesContainer,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: [`${supervisorDirectory}/init`],
    securityContext: {
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      capabilities: { add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER'] },
    },
    volumeMounts: [
      supervisorMount,
      // its log and socket are not the step's
      runMount('files-run'),
      ...placed.flatMap(({ mount, volume }) =>
        mount.kind === 'tmpfs' ? [] : [{ name: volume, mountPath: `${filesDirectory}/${volume}` }],
      ),
    ],
  };
}
