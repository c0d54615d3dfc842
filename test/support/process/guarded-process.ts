// Long-lived child processes of the tests, which end with the test run however that ends.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';

export interface GuardedProcess {
  readonly pid: number;
  readonly logPath: string;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  isRunning(): boolean;
  /** SIGTERM, and SIGKILL after the deadline. Resolves when the process is gone. */
  stop(timeoutMs?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

export interface GuardOptions {
  logPath: string;
  env?: NodeJS.ProcessEnv;
  /** True: the process stays when the test run ends; whoever started it stops it by its pid. */
  detached?: boolean;
}

// The guard holds the read end of a pipe from us: when we are gone, even by SIGKILL, `read` ends and so does the command.
const guardScript = `
exec 4<&0
# a shell without job control ignores SIGINT and SIGQUIT in what it puts in the background; containers would inherit that
env --default-signal=INT,QUIT "$@" </dev/null 3>&- 4<&- &
pid=$!
echo $pid >&3
exec 3>&-
if [ "$GUARD_DETACHED" = 1 ]; then wait $pid; exit; fi
{ read -r <&4; kill $pid 2>/dev/null; } &
watch=$!
# not wait -n, which may wait for ever when the command is so short that it has ended before
wait $pid
kill $watch 2>/dev/null
`;

/** Starts `command` in a session of its own, output to `logPath`. Rejects if the shell cannot be spawned. */
export async function startGuarded(
  command: readonly string[],
  options: GuardOptions,
): Promise<GuardedProcess> {
  const log = openSync(options.logPath, 'a');
  const guard = spawn('bash', ['-c', guardScript, 'guard', ...command], {
    detached: true,
    stdio: ['pipe', log, log, 'pipe'],
    env: { ...process.env, ...options.env, GUARD_DETACHED: options.detached === true ? '1' : '0' },
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => guard.once('exit', () => resolve()));
  // fd 3 is a pipe, so it is readable here
  const pid = await readPid(guard.stdio[3] as Readable);
  if (options.detached === true) guard.unref();
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(pid, signal);
    } catch {
      // it is gone already
    }
  };
  return {
    pid,
    logPath: options.logPath,
    exited,
    isRunning: () => guard.exitCode === null && guard.signalCode === null,
    kill,
    stop: async (timeoutMs = 30_000) => {
      kill('SIGTERM');
      const timer = setTimeout(() => kill('SIGKILL'), timeoutMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function readPid(pipe: Readable): Promise<number> {
  let text = '';
  for await (const chunk of pipe) text += String(chunk);
  const pid = Number(text.trim());
  if (!Number.isInteger(pid) || pid <= 0) throw new Error('the process did not start');
  return pid;
}

/** Polls `ready` until it holds; throws with the end of the log if the process ends or the deadline passes first. */
export async function waitReady(
  child: GuardedProcess,
  ready: () => Promise<boolean>,
  timeoutMs = 300_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await ready()) return;
    if (!child.isRunning() || Date.now() > deadline) {
      const log = readFileSync(child.logPath, 'utf8').slice(-3000);
      throw new Error(`${child.isRunning() ? 'not ready in time' : 'ended at once'}; log:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
