// What processes and their descendants used of the CPU, dead ones included: a control group of their own counts it.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const root = '/sys/fs/cgroup';
// version 1 has a tree for each controller, and this one only counts
const tree = existsSync(join(root, 'cgroup.controllers')) ? root : join(root, 'cpuacct');

export class CpuAccount {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** A new group of this name; undefined where this process may not make one. */
  static open(name: string): CpuAccount | undefined {
    const path = join(tree, name);
    try {
      mkdirSync(path);
    } catch {
      return undefined;
    }
    return new CpuAccount(path);
  }

  /** One that another process opened. */
  static existing(path: string): CpuAccount {
    return new CpuAccount(path);
  }

  /** `command`, to be executed inside. */
  wrap(command: readonly string[]): string[] {
    return ['sh', '-c', `echo $$ >${this.path}/cgroup.procs && exec "$@"`, 'account', ...command];
  }

  /** Used so far. */
  seconds(): number {
    const nanoseconds = join(this.path, 'cpuacct.usage');
    if (existsSync(nanoseconds)) return Number(readFileSync(nanoseconds, 'utf8')) / 1e9;
    const microseconds = /^usage_usec (\d+)$/m.exec(readFileSync(join(this.path, 'cpu.stat'), 'utf8'))?.[1];
    return Number(microseconds) / 1e6;
  }

  /** Throws while a process is in it. */
  close(): void {
    for (const entry of readdirSync(this.path, { withFileTypes: true }))
      if (entry.isDirectory()) rmdirSync(join(this.path, entry.name));
    rmdirSync(this.path);
  }
}

/** Of this process and those of its children that ended and were waited for. */
export function ownCpuSeconds(): number {
  // proc(5): utime, stime, cutime and cstime are the 14th to the 17th field; the second, a name, may have blanks
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / 100;
}
