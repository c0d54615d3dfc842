// Kills what the engine is made of, one thing after the other, and starts the daemon again.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { CaissonDaemon } from '../support/engines/caisson-daemon';
import type { Kill, Ledger } from './ledger';
import type { Random } from './random';
import { pause } from './world';

/** How long a VM that was nobody's, or a helper, may be missed by whoever is about to have it. */
const missedMs = 20_000;

interface VmFile {
  id: string;
  process: { pid: number };
  state: { podId?: string };
}

export class Killer {
  readonly #daemon: CaissonDaemon;
  readonly #ledger: Ledger;
  readonly #random: Random;
  /** How long each daemon took until it answered. */
  readonly restartMs: number[] = [];

  constructor(daemon: CaissonDaemon, ledger: Ledger, random: Random) {
    this.#daemon = daemon;
    this.#ledger = ledger;
    this.#random = random;
  }

  /** Until then; the daemon runs when this resolves. */
  async run(untilMs: number): Promise<void> {
    const acts = [
      () => this.restartDaemon(),
      () => this.#killVm(),
      () => this.#killVm(),
      () => this.#killFileServer(),
      () => this.#killHelper(),
    ];
    for (;;) {
      await pause(this.#random.between(4000, 12_000));
      if (performance.now() >= untilMs) return;
      await this.#random.of(acts)();
    }
  }

  async restartDaemon(): Promise<void> {
    const kill = this.#ledger.kill({ what: 'daemon', podId: undefined });
    await this.#daemon.kill9();
    await this.#daemon.start();
    kill.over = performance.now();
    this.restartMs.push(Math.round(kill.over - kill.at));
    this.#ledger.step('killer', `the daemon answers after ${Math.round(kill.over - kill.at)} ms`);
  }

  async #killVm(): Promise<void> {
    const vms = this.#vms();
    if (vms.length === 0) return;
    const vm = this.#random.of(vms);
    this.#note('vm', vm.state.podId);
    end(vm.process.pid);
    return Promise.resolve();
  }

  async #killFileServer(): Promise<void> {
    const pids = this.#daemon.fileServerPids();
    if (pids.length === 0) return this.#killVm();
    const pid = this.#random.of(pids);
    const id = /vms\/([0-9a-f]+)\//.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1];
    this.#note('file server', this.#vms().find((vm) => vm.id === id)?.state.podId);
    end(pid);
  }

  async #killHelper(): Promise<void> {
    const pids = helperPids(this.#daemon);
    if (pids.length === 0) return;
    this.#note('network helper', undefined);
    end(this.#random.of(pids));
    return Promise.resolve();
  }

  #note(what: Kill['what'], podId: string | undefined): void {
    // before the deed, so that nobody sees what came of it first
    this.#ledger.kill({ what, podId }).over = performance.now() + missedMs;
  }

  #vms(): VmFile[] {
    const dir = join(this.#daemon.dir, 'run', 'vms');
    return readdirSync(dir).flatMap((id) => {
      try {
        // the daemon's own file
        return [JSON.parse(readFileSync(join(dir, id, 'vm.json'), 'utf8')) as VmFile];
      } catch {
        return []; // it is being made, or goes away
      }
    });
  }
}

/** netd-host, netd-ports, netd and slirp4netns of this daemon. */
export function helperPids(daemon: CaissonDaemon): number[] {
  const namespace = namespaceOf(daemon.process.pid);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const isHelper =
          /netd-host|netd-ports|netd\/main\.js|slirp4netns/.test(command) &&
          !command.includes('main.js\0daemon');
        return isHelper && (command.includes(`${daemon.dir}/`) || namespaceOf(Number(pid)) === namespace);
      } catch {
        return false;
      }
    })
    .map(Number);
}

function namespaceOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}
