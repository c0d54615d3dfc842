// A pool on real QEMUs, in directories of the test's own, and counts of what could be left behind.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectDir } from '../process/project-dir';
import type { AgentOutput } from '../../../src/vm/contract/agent';
import type { AgentEvent } from '../../../src/vm/contract/protocol';
import type { Vm } from '../../../src/vm/contract/vm';
import { NetworkNamespace } from '../network/network-namespace';
import { createVmPool, type PooledVms, type VmPoolConfig } from '../../../src/vm/pool/vm-pool';

const gibibyte = 1024 ** 3;

export class VmLab {
  readonly directory = mkdtempSync(join(tmpdir(), 'vm-lab-'));
  readonly #namespace: NetworkNamespace;
  readonly #pools: PooledVms[] = [];

  private constructor(namespace: NetworkNamespace) {
    this.#namespace = namespace;
    chmodSync(this.directory, 0o711);
  }

  static async create(): Promise<VmLab> {
    return new VmLab(await NetworkNamespace.create());
  }

  get namespacePath(): string {
    return `/proc/${this.#namespace.holderPid}/ns/net`;
  }

  config(changes: Partial<VmPoolConfig> = {}): VmPoolConfig {
    return {
      dataRoot: join(this.directory, 'data'),
      runDir: join(this.directory, 'run'),
      accelerator: 'tcg',
      emulatedAslr: false,
      guestDir: join(projectDir, 'build/guest'),
      nativeDir: join(projectDir, 'build/native'),
      qemuBinary: '/usr/bin/qemu-system-x86_64',
      poolSize: 0,
      sizedTemplates: 2,
      vmMemoryBytes: 2 * gibibyte,
      vmCpus: 2,
      vmUidBase: 310_000,
      ...changes,
    };
  }

  /** A pool as a new daemon has it. */
  async pool(changes: Partial<VmPoolConfig> = {}): Promise<PooledVms> {
    const pool = await createVmPool(this.config(changes), this.namespacePath);
    this.#pools.push(pool);
    return pool;
  }

  /** QEMUs of this lab: each is told a path of its template. */
  qemus(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const args = readProc(pid, 'cmdline').split('\0');
        return args[0]?.includes('qemu') === true && args.some((arg) => arg.startsWith(this.directory));
      });
  }

  taps(): string[] {
    const links = this.#namespace.run('ip', ['-o', 'link']);
    return [...links.matchAll(/^\d+: (cv\w+)/gm)].map((match) => match[1]!).sort();
  }

  runDirs(): string[] {
    return readdirSync(join(this.directory, 'run/vms'));
  }

  async remove(): Promise<void> {
    for (const pool of this.#pools) await pool.close({ endIdle: false });
    for (const pid of this.qemus()) process.kill(pid, 'SIGKILL');
    await this.#namespace.delete();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** What our own process has open, without what comes and goes by itself. */
export function openFiles(): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((target) => target.startsWith('socket:') || target.startsWith('/') || target.startsWith('pipe:'));
}

/** Collects a channel to its end, acknowledging as it comes. */
export function collect(output: AgentOutput): { text: () => string; ended: Promise<string> } {
  const parts: Buffer[] = [];
  const text = () => Buffer.concat(parts).toString();
  const ended = new Promise<string>((done, lost) => {
    output.consume({
      onChunk: ({ data, offset }) => {
        parts.push(data);
        output.ack(offset + data.length);
      },
      onEnd: () => done(text()),
      onLost: lost,
    });
  });
  ended.catch(() => undefined);
  return { text, ended };
}

/** Resolves with the exit of a container or exec. */
export function exitOf(vm: Vm, id: string): Promise<AgentEvent & { event: 'exit' }> {
  return new Promise((done) => {
    const stop = vm.agent.onEvent((event, ack) => {
      ack();
      if (event.event !== 'exit' || event.id !== id) return;
      stop();
      done(event);
    });
  });
}
