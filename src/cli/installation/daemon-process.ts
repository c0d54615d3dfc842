// The daemon that `caisson up` starts in the background: its start, whether it answers, its end.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { getPriority, setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DaemonError } from '../../errors';
import { findProcess, isAlive, type HostProcess } from '../../vm/host/host-process';
import { raised, usualNiceVariable } from '../../host/start-priority';
import { projectDir } from '../../versions';
import type { Places } from './places';

const mainScript = join(projectDir, 'dist', 'main.js');
const pollMs = 100;
/** Its first answer, after a template that it may have to make, on a host that is slow. Its end is seen at once. */
const startTimeoutMs = 300_000;
/** More than the daemon gives itself (--shutdown-timeout). */
const stopTimeoutMs = 30_000;

/** The daemon that `up` has started, if that very process still runs. */
export async function daemonProcess({ pidFile }: Pick<Places, 'pidFile'>): Promise<HostProcess | undefined> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const found = await findProcess(pid);
  return found !== undefined && (await isAlive(found, 'dist/main.js\0daemon')) ? found : undefined;
}

export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping', timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('timeout', () => {
      asked.destroy();
    });
    asked.on('error', () => {
      resolve(false);
    });
    asked.end();
  });
}

/** Starts it in a session of its own, so that it outlives this terminal. Resolves when it answers; throws the end of its log. */
export async function startDaemonProcess(places: Places, args: readonly string[]): Promise<void> {
  await mkdir(places.runDir, { recursive: true, mode: 0o711 });
  await mkdir(dirname(places.logFile), { recursive: true });
  const log = openSync(places.logFile, 'a', 0o600);
  const child = spawn(process.execPath, [mainScript, 'daemon', ...args], {
    cwd: '/',
    // it is the caller's daemon: proxies, KUBECONFIG and such are meant for it
    env: { ...process.env, [usualNiceVariable]: String(getPriority()) },
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  goAhead(child.pid);
  const ended = new AbortController();
  child.once('exit', () => ended.abort()).once('error', () => ended.abort());
  child.unref();
  if (child.pid !== undefined) await writeFile(places.pidFile, `${child.pid}\n`);
  const until = Date.now() + startTimeoutMs;
  while (Date.now() < until) {
    if (await answers(places.socket)) return;
    if (ended.signal.aborted)
      throw new DaemonError(
        'Internal',
        `the daemon ended:\n${await endOfLog(places.logFile)}\nIts log is ${places.logFile}`,
      );
    await pause(pollMs);
  }
  throw new DaemonError(
    'Unavailable',
    `no answer on ${places.socket} after ${startTimeoutMs / 1000} s; the log is ${places.logFile}`,
  );
}

/** Among many busy processes Node.js takes seconds to come up; the daemon comes back to its usual priority itself. */
function goAhead(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, raised(getPriority()));
  } catch {
    // it comes up without, if later
  }
}

/** Containers go on in their VMs. Resolves with false when there was none. */
export async function stopDaemonProcess(places: Places): Promise<boolean> {
  const daemon = await daemonProcess(places);
  if (daemon !== undefined) {
    process.kill(daemon.pid, 'SIGTERM');
    const until = Date.now() + stopTimeoutMs;
    while (await isAlive(daemon)) {
      if (Date.now() > until)
        throw new DaemonError(
          'Unavailable',
          `pid ${daemon.pid} is still there after ${stopTimeoutMs / 1000} seconds; its log is ${places.logFile}`,
        );
      await pause(pollMs);
    }
  }
  await rm(places.pidFile, { force: true });
  return daemon !== undefined;
}

async function endOfLog(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-15).join('\n');
}
