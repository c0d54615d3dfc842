// What must not be left once everything was removed, and the daemon has ended in order.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CaissonDaemon } from '../support/engines/caisson-daemon';
import { helperPids } from './killer';

/** While the daemon still runs: its namespace has only what belongs to its VMs, and no file of a container is there. */
export function leftWithDaemon(daemon: CaissonDaemon): string[] {
  const runDirs = join(daemon.dir, 'run', 'vms');
  // the seed, of which VMs are forked, is no VM, and `qemuPids` leaves it out
  const vms = listing(runDirs).filter((id) => !existsSync(join(runDirs, id, 'seed.sock')));
  const slots = vms.length;
  const links = execFileSync('nsenter', [`--net=${join(daemon.dir, 'run', 'netns')}`, 'ip', '-o', 'link'], {
    encoding: 'utf8',
  });
  const taps = links.split('\n').filter((line) => line.includes(' tap')).length;
  return [
    ...listing(join(daemon.dir, 'data', 'disks')).map((name) => `disks/${name}`),
    ...listing(join(daemon.dir, 'data', 'containers')).map((name) => `containers/${name}`),
    ...listing(join(daemon.dir, 'data', 'volumes')).map((name) => `volumes/${name}`),
    ...listing(join(daemon.dir, 'data', 'tmp')).map((name) => `tmp/${name}`),
    ...(daemon.qemuPids().length === slots ? [] : [`${daemon.qemuPids().length} QEMUs for ${slots} VMs`]),
    ...(taps <= slots * 8 ? [] : [`${taps} taps for ${slots} VMs`]),
    ...daemon.fileServerPids().map((pid) => `file server ${pid}`),
  ];
}

/** After the daemon's end. */
export function leftWithout(daemon: CaissonDaemon, helpers: readonly number[]): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return [
    ...daemon.qemuPids().map((pid) => `QEMU ${pid}`),
    ...daemon.fileServerPids().map((pid) => `file server ${pid}`),
    ...listing(join(daemon.dir, 'run', 'vms')).map((name) => `run/vms/${name}`),
    ...helpers.filter((pid) => existsSync(`/proc/${pid}`)).map((pid) => `helper ${pid}`),
    ...mounts.filter((line) => line.includes(` ${daemon.dir}/`)).map((line) => `mount ${line}`),
  ];
}

export { helperPids };

function listing(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
