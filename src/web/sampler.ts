// Measures host, VMs and containers now and then while the page is served, and keeps what it found within a bound (series.ts).
// VMs are looked at from outside, by their processes; containers are asked in turns, so that many cost no more than some.

import { readFile } from 'node:fs/promises';
import { cpus, freemem, totalmem } from 'node:os';
import { log } from '../log';
import { errorMessage } from '../errors';
import type { ContainerStats, ContainerSummary } from '../docker/types';
import { Series, type Point } from './series';
import type { History, HistorySpan, SubjectKind } from './types';

const intervalMs = 5_000;
/** Containers asked at a time; with more, each is asked less often. */
const containersAtOnce = 24;
const subjectsKept = 500;
/** Of a subject that is gone. */
const keptSeconds = 24 * 3600;
/** /proc counts in these, on every Linux that runs here. */
const ticksPerSecond = 100;

export interface SampledEngine {
  /** Those that run. */
  containers(): Promise<ContainerSummary[]>;
  stats(id: string, signal: AbortSignal): Promise<ContainerStats | undefined>;
  vms(): { id: string; pid: number }[];
}

/** What only ever grows: rates come of two of them. */
interface Counters {
  /** Milliseconds. */
  at: number;
  cpuSeconds: number;
  rxBytes?: number;
  txBytes?: number;
  readBytes?: number;
  writtenBytes?: number;
}

interface Subject {
  kind: SubjectKind;
  id: string;
  series: Series;
  peakMemoryBytes: number;
}

export class Sampler {
  readonly #engine: SampledEngine;
  readonly #series = new Map<string, Subject>();
  readonly #counters = new Map<string, Counters>();
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(engine: SampledEngine) {
    this.#engine = engine;
  }

  start(): void {
    const next = (): void => {
      this.#running = this.sample()
        .catch((error: unknown) => log.debug('nothing was measured', { error: errorMessage(error) }))
        .then(() => {
          if (this.#abort.signal.aborted) return;
          // after the end of the round: on a busy host rounds are fewer, and never two at once
          this.#timer = setTimeout(next, intervalMs);
          this.#timer.unref();
        });
    };
    next();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** One round. */
  async sample(): Promise<void> {
    await this.#sampleHost();
    await Promise.all(this.#engine.vms().map(({ id, pid }) => this.#sampleVm(id, pid)));
    const running = (await this.#engine.containers()).filter(({ State }) => State === 'running');
    for (const { Id } of this.#inTurn(running)) {
      if (this.#abort.signal.aborted) return;
      await this.#sampleContainer(Id).catch(() => undefined); // gone meanwhile
    }
    this.#forget();
  }

  history(span: HistorySpan, wanted: { kind?: string | undefined; id?: string | undefined }): History {
    const subjects = [...this.#series.values()]
      .filter(({ kind }) => wanted.kind === undefined || kind === wanted.kind)
      .filter(({ id }) => wanted.id === undefined || id === wanted.id)
      .map(({ kind, id, series, peakMemoryBytes }) => ({
        kind,
        id,
        peakMemoryBytes,
        columns: span === 'day' ? series.day() : series.minutes(),
      }));
    return { span, subjects };
  }

  #inTurn(running: readonly ContainerSummary[]): ContainerSummary[] {
    const count = Math.min(running.length, containersAtOnce);
    const first = running.length === 0 ? 0 : this.#turn % running.length;
    this.#turn = first + count;
    return [...running.slice(first), ...running.slice(0, first)].slice(0, count);
  }

  async #sampleHost(): Promise<void> {
    const [devices, vmstat] = await Promise.all([procText('net/dev'), procText('vmstat')]);
    let [idle, total] = [0, 0];
    for (const { times } of cpus()) {
      idle += times.idle;
      total += times.user + times.nice + times.sys + times.irq + times.idle;
    }
    const point = this.#rates('host', {
      at: performance.now(),
      cpuSeconds: (total - idle) / 1000,
      ...hostNetwork(devices ?? ''),
      ...hostDisk(vmstat ?? ''),
    });
    this.#add('host', 'host', { ...point, memoryBytes: totalmem() - freemem() });
  }

  async #sampleVm(id: string, pid: number): Promise<void> {
    const at = performance.now();
    const [stat, io, status] = await Promise.all(
      ['stat', 'io', 'status'].map((name) => procText(`${pid}/${name}`)),
    );
    if (stat === undefined || status === undefined) return;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io ?? '')?.[1]);
    const bytes = { readBytes: count('read_bytes'), writtenBytes: count('write_bytes') };
    const point = this.#rates(`vm ${id}`, {
      at,
      cpuSeconds,
      ...(Number.isNaN(bytes.readBytes + bytes.writtenBytes) ? {} : bytes),
    });
    this.#add('vm', id, { ...point, memoryBytes: ownMemory(status) });
  }

  async #sampleContainer(id: string): Promise<void> {
    const stats = await this.#engine.stats(id, this.#abort.signal);
    if (stats === undefined) return;
    const point = this.#rates(`container ${id}`, { at: performance.now(), ...countersOf(stats) });
    const { usage, stats: details } = stats.memory_stats;
    // as the docker command: without what the guest's kernel can give back at once
    const cache = details?.['total_inactive_file'] ?? details?.['inactive_file'] ?? 0;
    const memoryBytes = usage === undefined ? undefined : cache < usage ? usage - cache : usage;
    this.#add('container', id, { ...point, ...(memoryBytes === undefined ? {} : { memoryBytes }) });
  }

  /** Since the counters before; nothing for the first ones, and after they began anew. */
  #rates(key: string, now: Counters): Point {
    const before = this.#counters.get(key);
    this.#counters.set(key, now);
    if (before === undefined || now.at <= before.at || now.cpuSeconds < before.cpuSeconds) return {};
    const seconds = (now.at - before.at) / 1000;
    const point: Point = { cpuPercent: ((now.cpuSeconds - before.cpuSeconds) / seconds) * 100 };
    for (const measure of ['rxBytes', 'txBytes', 'readBytes', 'writtenBytes'] as const) {
      const [from, to] = [before[measure], now[measure]];
      if (from !== undefined && to !== undefined && to >= from) point[measure] = (to - from) / seconds;
    }
    return point;
  }

  #add(kind: SubjectKind, id: string, point: Point): void {
    const key = `${kind} ${id}`;
    const known = this.#series.get(key) ?? { kind, id, series: new Series(), peakMemoryBytes: 0 };
    known.series.add(Date.now() / 1000, point);
    known.peakMemoryBytes = Math.max(known.peakMemoryBytes, point.memoryBytes ?? 0);
    // the one that was heard of last is last
    this.#series.delete(key);
    this.#series.set(key, known);
  }

  #forget(): void {
    const oldest = Date.now() / 1000 - keptSeconds;
    for (const [key, { series }] of this.#series) {
      if (series.lastTime >= oldest && this.#series.size <= subjectsKept) break;
      this.#series.delete(key);
    }
    for (const key of this.#counters.keys()) {
      if (key !== 'host' && !this.#series.has(key)) this.#counters.delete(key);
    }
  }
}

function countersOf({ cpu_stats, networks, blkio_stats }: ContainerStats): Omit<Counters, 'at'> {
  const counters: Omit<Counters, 'at'> = { cpuSeconds: cpu_stats.cpu_usage.total_usage / 1e9 };
  if (networks !== undefined) {
    const all = Object.values(networks);
    counters.rxBytes = all.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0);
    counters.txBytes = all.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0);
  }
  const bytes = blkio_stats['io_service_bytes_recursive'];
  if (bytes !== null && bytes !== undefined) {
    const sumOf = (op: string): number =>
      bytes.filter((entry) => entry.op.toLowerCase() === op).reduce((sum, { value }) => sum + value, 0);
    counters.readBytes = sumOf('read');
    counters.writtenBytes = sumOf('write');
  }
  return counters;
}

/** Of `/proc/PID/status`: what the process has for itself. The template's pages, which all clones share, are a file's. */
function ownMemory(status: string): number {
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return (kib('RssAnon') + kib('RssShmem')) * 1024;
}

/** Of `/proc/net/dev`: all but the loopback. */
function hostNetwork(devices: string): { rxBytes: number; txBytes: number } {
  let [rxBytes, txBytes] = [0, 0];
  for (const [, name, counters = ''] of devices.matchAll(/^ *([^:\s]+): *(.+)$/gm)) {
    if (name === 'lo') continue;
    const fields = counters.trim().split(/ +/).map(Number);
    rxBytes += fields[0] ?? 0;
    txBytes += fields[8] ?? 0;
  }
  return { rxBytes, txBytes };
}

/** Of `/proc/vmstat`: what came from disks and went to them, counted in KiB. */
function hostDisk(vmstat: string): { readBytes?: number; writtenBytes?: number } {
  const count = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1]) * 1024;
  const [readBytes, writtenBytes] = [count('pgpgin'), count('pgpgout')];
  return Number.isNaN(readBytes + writtenBytes) ? {} : { readBytes, writtenBytes };
}

/** Of a file below /proc. */
function procText(path: string): Promise<string | undefined> {
  return readFile(`/proc/${path}`, 'utf8').catch(() => undefined);
}
