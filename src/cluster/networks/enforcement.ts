// Does the cluster's network keep its policies? Nothing of Kubernetes' API tells, so it is tried: a Pod listens on two ports, a policy
// lets another Pod reach one of them. What came of it lies on the policy, for all daemons of the namespace.

import type { V1NetworkPolicy, V1Pod } from '@kubernetes/client-node';
import { pause } from '../../async/pause';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { podPlacement, type PlacementSettings } from '../contract/pod-placement';

/** `ignored`: policies are objects that nobody reads. `unknown`: it was not tried, or could not be. */
export type Enforcement = 'kept' | 'ignored' | 'unknown';

/** What the probe needs of the namespace. Throws NotFound and Conflict as the API does. */
export interface ProbeObjects {
  policy(name: string): Promise<V1NetworkPolicy>;
  createPolicy(policy: V1NetworkPolicy): Promise<unknown>;
  replacePolicy(name: string, policy: V1NetworkPolicy): Promise<unknown>;
  createPod(pod: V1Pod): Promise<unknown>;
  pods(labelSelector: string): Promise<V1Pod[]>;
  deletePod(name: string): Promise<unknown>;
}

/** How the operator wants Pods. */
export type ProbeSettings = PlacementSettings & { supervisorImage: string };

const policyName = 'caisson-probe';
const roleLabel = 'caisson.io/probe';
const resultAnnotation = 'caisson.io/enforcement';
const timeAnnotation = 'caisson.io/probed-at';
const allowedPort = 8080;
const deniedPort = 8081;
/** What the supervisor's `reach` ends with. */
const exitCodes: Readonly<Record<number, Enforcement>> = { 0: 'kept', 3: 'ignored', 4: 'unknown' };
/** A cluster gets another network seldom; one that could not be tried may be ready soon. */
const validMs = { kept: 24 * 3_600_000, ignored: 3_600_000, unknown: 120_000 } as const;
/** For a Pod to run or to end: its image may have to be pulled. */
const podMs = 120_000;
const lookMs = 500;
const renewLookMs = 60_000;
/** Should this daemon end before it removes them. */
const podSeconds = 300;
/** Nobody's. */
const userId = 65532;

export class EnforcementProbe {
  readonly #objects: ProbeObjects;
  readonly #settings: ProbeSettings;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #nowMs: () => number;

  constructor(
    objects: ProbeObjects,
    settings: ProbeSettings,
    labels: Readonly<Record<string, string>>,
    nowMs = () => Date.now(),
  ) {
    this.#objects = objects;
    this.#settings = settings;
    this.#labels = labels;
    this.#nowMs = nowMs;
  }

  /** As it was found last, by whichever daemon. */
  async known(): Promise<Enforcement> {
    try {
      return resultOf(await this.#policy()).result;
    } catch (error) {
      // of a namespace that was installed by an earlier version, too, whose account may not read policies
      log.debug('what policies come to can not be read', { error: errorMessage(error) });
      return 'unknown';
    }
  }

  /** Tries it, unless what is known is new enough. For one daemon at a time. */
  async renew(signal: AbortSignal): Promise<void> {
    const { result, atMs } = resultOf(await this.#policy());
    const ageMs = this.#nowMs() - atMs;
    if (ageMs >= 0 && ageMs < validMs[result]) return;
    const found = await this.#try(signal);
    if (signal.aborted) return;
    if (found !== result) log.info('network policies were tried', { result: found });
    await this.#keep(found);
  }

  /** Looks now and then; returns what ends that. */
  startRenewing(): () => void {
    const abort = new AbortController();
    const go = async (): Promise<void> => {
      do {
        await this.renew(abort.signal).catch((error: unknown) => {
          log.debug('network policies are not tried', { error: errorMessage(error) });
        });
      } while (await pause(renewLookMs, abort.signal));
    };
    void go();
    return () => abort.abort();
  }

  async #policy(): Promise<V1NetworkPolicy | undefined> {
    try {
      return await this.#objects.policy(policyName);
    } catch (error) {
      if (isDaemonError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #try(signal: AbortSignal): Promise<Enforcement> {
    try {
      await this.#removePods();
      await this.#keep('unknown');
      const ports = [String(allowedPort), String(deniedPort)];
      const target = await this.#run('target', ['listen', ...ports], signal, ({ status }) =>
        status?.phase === 'Running' ? status.podIP : undefined,
      );
      const code = await this.#run('client', ['reach', target, ...ports], signal, exitCode);
      return exitCodes[code] ?? 'unknown';
    } catch (error) {
      log.info('network policies could not be tried', { error: errorMessage(error) });
      return 'unknown';
    } finally {
      await this.#removePods().catch((error: unknown) => {
        log.warn('Pods of a probe are left', { error: errorMessage(error) });
      });
    }
  }

  /** A Pod of that role; resolves with what `found` finds in it. Throws Unavailable where that does not come. */
  async #run<T>(
    role: string,
    args: readonly string[],
    signal: AbortSignal,
    found: (pod: V1Pod) => T | undefined,
  ): Promise<T> {
    await this.#objects.createPod(probePod(role, args, this.#settings, this.#labels));
    for (const end = performance.now() + podMs; performance.now() < end; await pause(lookMs, signal)) {
      signal.throwIfAborted();
      const [pod] = await this.#objects.pods(`${roleLabel}=${role}`);
      const value = pod === undefined ? undefined : found(pod);
      if (value !== undefined) return value;
    }
    throw new DaemonError('Unavailable', `the probe's Pod did not get so far within ${podMs / 1000} s`);
  }

  async #removePods(): Promise<void> {
    for (const { metadata } of await this.#objects.pods(roleLabel)) {
      await this.#objects.deletePod(metadata?.name ?? '').catch((error: unknown) => {
        if (!isDaemonError(error, 'NotFound')) throw error;
      });
    }
  }

  async #keep(result: Enforcement): Promise<void> {
    const body = probePolicy(this.#labels, {
      [resultAnnotation]: result,
      [timeAnnotation]: new Date(this.#nowMs()).toISOString(),
    });
    try {
      await this.#objects.createPolicy(body);
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
      await this.#objects.replacePolicy(policyName, body);
    }
  }
}

/** What clients are told. */
export function enforcementWarnings(enforcement: Enforcement): string[] {
  if (enforcement === 'kept') return [];
  return enforcement === 'ignored'
    ? [
        "the cluster's network does not enforce NetworkPolicies: containers of different networks reach each other, and those of internal networks the world",
      ]
    : [
        "boundaries between networks are NetworkPolicies, which hold where the cluster's network plugin enforces them; whether it does is not known yet",
      ];
}

function resultOf(policy: V1NetworkPolicy | undefined): { result: Enforcement; atMs: number } {
  const { [resultAnnotation]: text, [timeAnnotation]: time = '' } = policy?.metadata?.annotations ?? {};
  const result = text === 'kept' || text === 'ignored' ? text : 'unknown';
  const atMs = Date.parse(time);
  return { result, atMs: Number.isNaN(atMs) ? 0 : atMs };
}

function exitCode({ status }: V1Pod): number | undefined {
  return status?.containerStatuses?.[0]?.state?.terminated?.exitCode;
}

function probePolicy(
  labels: Readonly<Record<string, string>>,
  annotations: Record<string, string>,
): V1NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: policyName, labels: { ...labels }, annotations },
    spec: {
      podSelector: { matchLabels: { [roleLabel]: 'target' } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          _from: [{ podSelector: { matchLabels: { [roleLabel]: 'client' } } }],
          ports: [{ protocol: 'TCP', port: allowedPort }],
        },
      ],
    },
  };
}

function probePod(
  role: string,
  args: readonly string[],
  settings: ProbeSettings,
  labels: Readonly<Record<string, string>>,
): V1Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: `probe-${role}-`, labels: { ...labels, [roleLabel]: role } },
    spec: {
      ...podPlacement(settings),
      terminationGracePeriodSeconds: 0,
      activeDeadlineSeconds: podSeconds,
      containers: [
        {
          name: 'probe',
          image: settings.supervisorImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['/caisson/init', ...args],
          resources: { limits: { memory: '32Mi', cpu: '100m' }, requests: { memory: '8Mi', cpu: '10m' } },
          securityContext: {
            runAsNonRoot: true,
            runAsUser: userId,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            seccompProfile: { type: 'RuntimeDefault' },
          },
        },
      ],
    },
  };
}
