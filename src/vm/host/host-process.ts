// Processes that are not (or no longer) our children: known by pid and start time, so that a pid used again is not
// mistaken for them.

import { readdir, readFile } from 'node:fs/promises';
import { systemErrorCode } from '../../errors';

export interface HostProcess {
  pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since the host's boot. */
  startTicks: string;
}

/** Fields of /proc/PID/stat after the command's name, which may hold spaces and brackets. */
async function statFields(pid: number): Promise<string[] | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** The process that has this pid now. Undefined when there is none, or only its remains. */
export async function findProcess(pid: number): Promise<HostProcess | undefined> {
  const fields = await statFields(pid);
  const [state] = fields ?? [];
  const startTicks = fields?.[19];
  // A dead process whose other threads are still going holds its files and taps as before.
  const isRemains = (state === 'Z' || state === 'X') && Number(fields?.[17]) <= 1;
  return startTicks === undefined || isRemains ? undefined : { pid, startTicks };
}

/** With `named`: and its command line holds that text. */
export async function isAlive(process: HostProcess, named = ''): Promise<boolean> {
  if ((await findProcess(process.pid))?.startTicks !== process.startTicks) return false;
  return named === '' || (await commandLine(process.pid)).includes(named);
}

async function commandLine(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

/** Kills it if it is still the same process. Resolves when it is gone. */
export async function killProcess(target: HostProcess): Promise<void> {
  if (!(await isAlive(target))) return;
  try {
    process.kill(target.pid, 'SIGKILL');
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error;
  }
  await waitUntilGone(target);
}

/** For who asks something of it. */
export const stoppedProcess = 'its process is stopped (SIGSTOP)';

/** Somebody has stopped it (SIGSTOP), or traces it. False also for one that is gone. */
export async function isStopped(target: HostProcess): Promise<boolean> {
  const fields = await statFields(target.pid);
  return fields?.[19] === target.startTicks && isStoppedState(fields[0]);
}

function isStoppedState(state: string | undefined): boolean {
  return state === 'T' || state === 't';
}

/** What the kernel's scheduler knows of a process. */
export interface Scheduling {
  isStopped: boolean;
  /** CPU time of the threads that it has, in ms. */
  ranMs: number;
  /** How long they were ready to run and had no CPU, in ms, summed up. */
  waitedMs: number;
}

/** Undefined when it is gone. */
export async function schedulingOf(target: HostProcess): Promise<Scheduling | undefined> {
  const fields = await statFields(target.pid);
  if (fields?.[19] !== target.startTicks) return undefined;
  const threads = await readdir(`/proc/${target.pid}/task`).catch(() => []);
  const texts = await Promise.all(
    threads.map((id) => readFile(`/proc/${target.pid}/task/${id}/schedstat`, 'utf8').catch(() => '0 0')),
  );
  const nanoseconds = texts.map((text) => text.split(' ').map(Number));
  const sum = (column: number): number =>
    nanoseconds.reduce((total, columns) => total + (columns[column] ?? 0), 0) / 1e6;
  return { isStopped: isStoppedState(fields[0]), ranMs: sum(0), waitedMs: sum(1) };
}

/** There is no event for the end of a process that isn't our child: look again every few ms. */
export async function waitUntilGone(target: HostProcess): Promise<void> {
  for (let pauseMs = 1; await isAlive(target); pauseMs = Math.min(pauseMs * 2, 50)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Kills every process whose command line holds `text`. For leftovers that no record tells of. */
export async function killProcessesNaming(text: string): Promise<void> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const found = (await commandLine(pid)).includes(text) ? await findProcess(pid) : undefined;
    if (found !== undefined) await killProcess(found);
  }
}
