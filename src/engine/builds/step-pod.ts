// A step as the Pod that runs it: what BuildKit gives its containers, in the terms of the agent.

import { posix } from 'node:path';
import type { ExecStep, LayersMount, StepMount } from '../../buildkit/contract/executor';
import { containerToPod } from '../../translate/container-to-pod';
import { mergeEnvironment } from '../../translate/environment';
import { onlyContainer, type PodContainerSpec, type PodSpec } from '../../translate/pod';
import { guestFile } from '../../translate/pod-to-guest';
import type { GuestFile, GuestMount } from '../../vm/contract/protocol';
import { tunnelsDirectory } from '../../vm/contract/protocol';
import { limitedTo } from '../../builder/limits';
import { defaultStepHostname, stepEnvironment } from '../../semantics/builds/step-words';
import { fillHostConfig } from '../../semantics/create/defaults';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import { tunnelName } from '../vms/socket-tunnels';
import type { Config } from '../../config';

/** As little as a step can be: of a Pod that is made before it is known what for. */
export const plainStep: ExecStep = {
  ...{
    buildId: '',
    after: '',
    alone: false,
    architecture: '',
    mounts: [],
    args: ['true'],
    env: [],
    secretEnv: [],
  },
  root: { kind: 'layers', dest: '/', diffIds: [], selector: '', readonly: false, keepsChanges: true },
  ...{ workingDir: '/', user: '', hostname: '', network: 'sandbox', insecure: false, terminal: false },
  ...{ extraHosts: [], ulimits: [], cgroupParent: '', removeMountStubs: false },
  limits: {
    ...{ memoryBytes: 0, memorySwapBytes: 0, cpuShares: 0, cpuPeriod: 0, cpuQuota: 0 },
    ...{ cpusetCpus: '', cpusetMems: '' },
  },
};

/** A mount of the step, with its number among the step's trees if it is one. */
export interface PlacedMount {
  readonly mount: StepMount;
  /** Absolute and clean. */
  readonly target: string;
  readonly tree?: number;
}

/** In the order in which they are mounted: parents first. */
export function placedMounts({ mounts, workingDir }: ExecStep): PlacedMount[] {
  const placed = mounts.map((mount) => ({ mount, target: posix.resolve('/', workingDir, mount.dest) }));
  placed.sort((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
  let trees = 0;
  return placed.map((each) => (isTree(each.mount) ? { ...each, tree: trees++ } : each));
}

type TreeMount = Extract<StepMount, { kind: 'layers' | 'cache' }>;

function isTree(mount: StepMount): mount is TreeMount {
  return mount.kind === 'layers' || mount.kind === 'cache';
}

/** Of the mounts, those with a tree, by its number. */
export function treeMounts(placed: readonly PlacedMount[]): TreeMount[] {
  return placed.flatMap(({ mount }) => (isTree(mount) ? [mount] : []));
}

/** Mounts whose changes are wanted: the root has no number. */
export function keptMounts(
  step: ExecStep,
  placed: readonly PlacedMount[],
  isFailed = false,
): { mount: LayersMount; tree: number | undefined }[] {
  const all = [
    { mount: step.root, tree: undefined },
    ...placed.flatMap(({ mount, tree }) => (mount.kind === 'layers' ? [{ mount, tree }] : [])),
  ];
  return all.filter(
    ({ mount: { keepsChanges, readonly } }) =>
      (keepsChanges === true || (isFailed && keepsChanges === 'ifFailed')) && !readonly,
  );
}

export interface StepPod {
  /** For one that is made for it. */
  pod: PodSpec;
  container: PodContainerSpec;
  files: GuestFile[];
}

/** Throws DaemonError for values that no container may have. */
export function stepPod(
  id: string,
  step: ExecStep,
  placed: readonly PlacedMount[],
  { containerDefaults }: Pick<Config, 'containerDefaults'>,
  resolvConf: string,
): StepPod {
  const { limits, insecure } = step;
  const hostname = step.hostname === '' ? defaultStepHostname : step.hostname;
  const hostConfig = fillHostConfig({
    Privileged: insecure,
    ReadonlyRootfs: step.root.readonly,
    NetworkMode: step.network === 'host' ? 'host' : 'default',
    CgroupParent: step.cgroupParent,
    Ulimits: step.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    ...limitedTo(limits),
    Init: false,
  });
  const pod = containerToPod({
    id,
    podId: id,
    args: [...step.args],
    config: { Hostname: hostname, User: step.user, WorkingDir: step.workingDir, Tty: step.terminal },
    hostConfig: withRunDefaults(hostConfig, containerDefaults),
  });
  const spec = onlyContainer(pod);
  const env = mergeEnvironment(stepEnvironment(step.terminal), [...step.env, ...step.secretEnv]);
  const container: PodContainerSpec = {
    ...spec,
    process: { ...spec.process, env },
    utsNamespace: 'container',
    hostname,
    mounts: withMounts(id, spec.mounts, placed),
  };
  return {
    pod: { ...pod, hostname: defaultStepHostname, containers: [container] },
    container,
    files: files(hostname, step, placed, resolvConf),
  };
}

/** A mount in the place of a default one replaces it. */
function withMounts(
  id: string,
  defaults: readonly GuestMount[],
  placed: readonly PlacedMount[],
): GuestMount[] {
  const targets = new Set(placed.map(({ target }) => target));
  const own = placed.flatMap((each, index) => guestMount(id, each, index) ?? []);
  return [...defaults.filter(({ target }) => !targets.has(target)), ...own];
}

/** Undefined for a secret, which is one of the files. */
function guestMount(id: string, { mount, target, tree }: PlacedMount, index: number): GuestMount | undefined {
  switch (mount.kind) {
    case 'layers':
    case 'cache':
      return {
        type: 'tree',
        source: String(tree),
        subpath: mount.selector === '' ? '/' : mount.selector,
        target,
        options: mount.readonly ? ['ro'] : [],
      };
    case 'tmpfs': {
      const size = mount.sizeBytes > 0 ? [`size=${mount.sizeBytes}`] : [];
      return { type: 'tmpfs', source: 'tmpfs', target, options: ['nosuid', ...size] };
    }
    case 'ssh': {
      const source = `${tunnelsDirectory}/${tunnelName(id, index)}`;
      return { type: 'bind', source, target, options: [] };
    }
    case 'secret':
      return undefined;
  }
}

/** Those of the daemon's that nothing is mounted over, and the secrets: all of them lie in the VM's memory alone. */
function files(
  hostname: string,
  step: ExecStep,
  placed: readonly PlacedMount[],
  resolvConf: string,
): GuestFile[] {
  const isFree = ({ path }: GuestFile): boolean => !placed.some(({ target }) => target === path);
  const own = [
    guestFile('/etc/resolv.conf', resolvConf, true),
    guestFile('/etc/hosts', hostsText(hostname, step.extraHosts), true),
  ].filter(isFree);
  const secrets = placed.flatMap(({ mount, target }) => {
    if (mount.kind !== 'secret') return [];
    const { content, mode, uid, gid } = mount;
    return [{ path: target, contentBase64: content.toString('base64'), mode, uid, gid, readonly: true }];
  });
  return [...own, ...secrets];
}

/** As BuildKit writes it. */
function hostsText(hostname: string, extraHosts: ExecStep['extraHosts']): string {
  const lines = [
    `127.0.0.1\tlocalhost ${hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extraHosts.map(({ host, ip }) => `${ip}\t${host}`),
  ];
  return `${lines.join('\n')}\n`;
}
