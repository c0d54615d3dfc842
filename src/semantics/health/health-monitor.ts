// health/: health checks, whatever runs them.
//
// Health checks: runs each container's probe while it runs, and keeps what inspect and list show of it.

import { unlessAborted } from '../../async/deadline';
import type { Health, HealthConfig, HealthcheckResult } from '../../docker/types';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { pause } from '../../async/pause';
import type { HealthSource } from '../containers/health';
import { eventAttributes } from '../containers/container-record';
import type { ContainerStateKind } from '../containers/container-state';
import type { KnownContainer } from '../containers/known-containers';
import type { EventPublisher } from '../events/event-publisher';
import { goDuration } from '../../go/duration';
import { nowTimestamp } from '../../go/timestamp';

const nanosecondsPerMillisecond = 1e6;
const defaultIntervalMs = 30_000;
const defaultTimeoutMs = 30_000;
const defaultRetries = 3;
const keptResults = 5;
const keptOutputBytes = 4096;
const brokenProbeExitCode = -1;

export interface ProbeResult {
  exitCode: number;
  /** stdout and stderr as they came; cut to 4 KiB by the monitor. */
  output: Buffer;
}

/** Runs a command in the container. On `signal` it kills the command and rejects, or resolves, soon. */
export type RunProbe<Known extends KnownContainer = KnownContainer> = (
  container: Known,
  args: string[],
  signal: AbortSignal,
) => Promise<ProbeResult>;

/** The containers that are probed. */
export interface ProbedContainers<Known extends KnownContainer> {
  list(): Known[];
  /** Called after each step of a container's state machine. */
  onTransition(listener: (container: Known, before: ContainerStateKind) => void): unknown;
}

/** Where healths are kept. */
export interface HealthMemory {
  get(containerId: string): Health | undefined;
  set(containerId: string, health: Health): void;
  delete(containerId: string): void;
  /** Forgets containers that are not there any more. */
  keepOnly(isKnown: (containerId: string) => boolean): void;
}

/** The probe's command; undefined when there is no check. */
export function probeCommand(
  config: HealthConfig | null | undefined,
  shell: readonly string[] | null | undefined,
): string[] | undefined {
  const [kind, ...rest] = config?.Test ?? [];
  switch (kind) {
    case 'CMD':
      return rest;
    case 'CMD-SHELL': {
      const words = shell ?? [];
      return [...(words.length > 0 ? words : ['/bin/sh', '-c']), rest[0] ?? ''];
    }
    default:
      // NONE, an inherited empty list, or a kind Docker doesn't know either.
      return undefined;
  }
}

/** The health after a probe. `sinceStartMs`: how long the container ran when the probe began. */
export function nextHealth(
  health: Health,
  result: HealthcheckResult,
  config: HealthConfig,
  sinceStartMs: number,
): Health {
  const Log = [...(health.Log ?? []), result].slice(-keptResults);
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log };
  // Until it was healthy once, failures during the start period don't count.
  const startPeriodMs = (config.StartPeriod ?? 0) / nanosecondsPerMillisecond;
  if (health.Status === 'starting' && sinceStartMs < startPeriodMs) return { ...health, Log };
  const FailingStreak = health.FailingStreak + 1;
  const retries = (config.Retries ?? 0) > 0 ? (config.Retries ?? 0) : defaultRetries;
  return { Status: FailingStreak >= retries ? 'unhealthy' : health.Status, FailingStreak, Log };
}

export class HealthMonitor<Known extends KnownContainer = KnownContainer> implements HealthSource {
  readonly #registry: ProbedContainers<Known>;
  readonly #events: EventPublisher;
  readonly #healths: HealthMemory;
  readonly #running = new Map<string, AbortController>();
  readonly #counts = { run: 0, failed: 0 };
  #runProbe: RunProbe<Known> | undefined;

  constructor(registry: ProbedContainers<Known>, events: EventPublisher, healths: HealthMemory) {
    this.#registry = registry;
    this.#events = events;
    this.#healths = healths;
  }

  /** Probes what runs now, once `reached`, and what will run. Once, when probes can be run. */
  start(runProbe: RunProbe<Known>, reached: (container: Known) => Promise<void>): void {
    this.#runProbe = runProbe;
    const known = new Set(this.#registry.list().map(({ id }) => id));
    this.#healths.keepOnly((id) => known.has(id));
    this.#registry.onTransition((container, before) => {
      if (container.state.kind !== 'running') this.#stop(container);
      else if (before !== 'running') this.#begin(container, { resumed: before === 'paused' });
    });
    for (const container of this.#registry.list().filter(({ state }) => state.kind === 'running')) {
      void reached(container).then(() => {
        // Nobody has looked for a while, and what was found last is still what is known.
        if (container.state.kind === 'running') this.#begin(container, { resumed: true });
      });
    }
  }

  /** Stops all probes. */
  close(): void {
    for (const abort of this.#running.values()) abort.abort();
    this.#running.clear();
  }

  /** Probes since the daemon's start, for its metrics. */
  get counts(): Readonly<{ run: number; failed: number }> {
    return this.#counts;
  }

  health(containerId: string): Health | undefined {
    return this.#healths.get(containerId);
  }

  #begin(container: Known, { resumed }: { resumed: boolean }): void {
    const { Healthcheck: config, Shell: shell } = container.record.config;
    const command = probeCommand(config, shell);
    if (command === undefined || config === undefined || config === null) return;
    if (this.#running.has(container.id)) return;
    const known = this.#healths.get(container.id);
    if (!resumed || known === undefined) {
      this.#healths.set(container.id, { Status: 'starting', FailingStreak: 0, Log: known?.Log ?? [] });
    }
    const abort = new AbortController();
    this.#running.set(container.id, abort);
    void this.#watch(container, config, command, abort.signal);
  }

  #stop(container: Known): void {
    const abort = this.#running.get(container.id);
    if (abort !== undefined) {
      this.#running.delete(container.id);
      abort.abort();
      const health = this.#healths.get(container.id);
      // Docker shows what is not watched any more as unhealthy, without an event.
      if (health !== undefined) this.#healths.set(container.id, { ...health, Status: 'unhealthy' });
    }
    if (container.state.kind === 'removing') this.#healths.delete(container.id);
  }

  async #watch(
    container: Known,
    config: HealthConfig,
    command: string[],
    signal: AbortSignal,
  ): Promise<void> {
    const intervalMs = milliseconds(config.Interval, defaultIntervalMs);
    const startedAtMs = Date.parse(container.state.startedAt);
    while (await pause(intervalMs, signal)) {
      const beganAtMs = Date.now();
      const result = await this.#probe(container, config, command, signal);
      const health = this.#healths.get(container.id);
      if (signal.aborted || health === undefined) return;
      this.#counts.run += 1;
      if (result.ExitCode !== 0) this.#counts.failed += 1;
      const next = nextHealth(health, result, config, beganAtMs - startedAtMs);
      this.#healths.set(container.id, next);
      if (next.Status !== health.Status) {
        const attributes = eventAttributes(container.record);
        this.#events.publish('container', `health_status: ${next.Status}`, container.id, attributes);
      }
    }
  }

  /** Never rejects: a probe that can't be run is a failed one. */
  async #probe(
    container: Known,
    config: HealthConfig,
    command: string[],
    signal: AbortSignal,
  ): Promise<HealthcheckResult> {
    const timeoutMs = milliseconds(config.Timeout, defaultTimeoutMs);
    const Start = nowTimestamp();
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      if (this.#runProbe === undefined) throw new Error('no probes can be run');
      const stop = AbortSignal.any([signal, timeout]);
      const { exitCode, output } = await unlessAborted(this.#runProbe(container, command, stop), stop);
      return { Start, End: nowTimestamp(), ExitCode: exitCode, Output: cutOutput(output) };
    } catch (error) {
      const Output = timeout.aborted
        ? `Health check exceeded timeout (${goDuration(timeoutMs * nanosecondsPerMillisecond)})`
        : errorMessage(error);
      if (!timeout.aborted && !signal.aborted) {
        log.debug('health check could not be run', { containerId: container.id, error: Output });
      }
      return { Start, End: nowTimestamp(), ExitCode: brokenProbeExitCode, Output };
    }
  }
}

function milliseconds(nanoseconds: number | undefined, fallback: number): number {
  return nanoseconds === undefined || nanoseconds === 0 ? fallback : nanoseconds / nanosecondsPerMillisecond;
}

function cutOutput(output: Buffer): string {
  if (output.length <= keptOutputBytes) return output.toString('utf8');
  return `${output.subarray(0, keptOutputBytes).toString('utf8')}...`;
}
