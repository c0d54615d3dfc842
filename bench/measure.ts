// Measuring: timed docker commands and requests, and what processes take of memory.

import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

import { sendHttp } from '../test/support/wire/http-client';

/** The middle of the sample. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export async function timed(work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

export interface Work {
  times: number;
  prepare?: (client: DockerClient) => unknown;
  /** What is timed. */
  step: (client: DockerClient) => unknown;
  /** After each step, not timed. */
  between?: (client: DockerClient) => unknown;
}

/**
 * Medians in milliseconds, in the clients' order, after one step of each that does not count. The clients take turns, so
 * that a busy machine is busy for all of them; `inTurn: false` lets one finish before the next begins.
 */
export async function medians(
  clients: readonly DockerClient[],
  work: Work,
  inTurn = true,
): Promise<number[]> {
  const taken = clients.map((): number[] => []);
  const step = async (index: number): Promise<void> => {
    const client = clients[index];
    if (client === undefined) return;
    taken[index]?.push(await timed(() => work.step(client)));
    await work.between?.(client);
  };
  const indexes = clients.map((_, index) => index);
  const rounds = Array.from({ length: work.times + 1 }, (_, round) => round);
  for (const client of clients) await work.prepare?.(client);
  const order = inTurn ? rounds.flatMap(() => indexes) : indexes.flatMap((index) => rounds.map(() => index));
  for (const index of order) await step(index);
  for (const client of clients) await client.removeAll();
  return taken.map((values) => median(values.slice(1)));
}

export class DockerClient {
  readonly host: string;

  constructor(host: string) {
    this.host = host;
  }

  /** Runs the docker command; its output is thrown away. Throws if it fails. */
  run(...args: string[]): void {
    const { status, stderr } = spawnSync('/usr/bin/docker', ['--host', this.host, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr.toString()}`);
  }

  output(...args: string[]): string {
    return execFileSync('/usr/bin/docker', ['--host', this.host, ...args], { encoding: 'utf8' });
  }

  async get(path: string): Promise<string> {
    return (await sendHttp(this.host, { method: 'GET', path })).body;
  }

  async post(path: string, body?: unknown): Promise<string> {
    return (await sendHttp(this.host, { method: 'POST', path, body })).body;
  }

  async removeAll(): Promise<void> {
    // the engine's list
    const containers = JSON.parse(await this.get('/v1.41/containers/json?all=1')) as { Id: string }[];
    for (const { Id } of containers) {
      await sendHttp(this.host, { method: 'DELETE', path: `/v1.41/containers/${Id}?force=1` });
    }
  }
}

function memoryMib(pid: number, file: string, field: string): number {
  const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 'NaN') / 1024;
}

export function rssMib(pid: number): number {
  return memoryMib(pid, 'status', 'VmRSS');
}

/** What the process has to itself, and its share of what it has with others. */
export function pssMib(pid: number): number {
  return memoryMib(pid, 'smaps_rollup', 'Pss');
}

/** A guest reports what is free in passes of two seconds; a daemon that is idle gives back its heap after five to ten. */
const settleMs = 500;
const settleRounds = 60;

/** Of the next half minute. */
export async function smallest(read: () => number): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < settleRounds; round += 1) {
    least = Math.min(least, read());
    await new Promise((resolve) => setTimeout(resolve, settleMs));
  }
  return least;
}

export function childPids(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return (
          / [A-Z] (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8').replace(/.*\)/, ' )'))?.[1] ===
          String(pid)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}
