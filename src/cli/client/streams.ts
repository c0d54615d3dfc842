// The terminal's side of attach, exec and logs.

import type { Container, Exec } from 'dockerode';
import type { ApiClient } from './api-client';

interface Attached {
  /** Resolves when the output has ended, and the terminal is as it was. */
  done: Promise<void>;
}

interface StreamOptions {
  tty: boolean;
  /** Our standard input goes there. */
  stdin: boolean;
  resize: (size: { h: number; w: number }) => Promise<unknown>;
}

/** Connects this terminal with a hijacked stream. */
export function connectTerminal(
  client: ApiClient,
  stream: NodeJS.ReadWriteStream,
  { tty, stdin, resize }: StreamOptions,
): Attached {
  const raw = stdin && tty && process.stdin.isTTY;
  const onResize = (): void => {
    const { rows, columns } = process.stdout;
    resize({ h: rows, w: columns }).catch(() => undefined); // it may have ended, or not begun
  };
  if (tty) stream.pipe(process.stdout, { end: false });
  else client.docker.modem.demuxStream(stream, process.stdout, process.stderr);
  if (raw) process.stdin.setRawMode(true);
  if (stdin) process.stdin.pipe(stream);
  if (tty && process.stdout.isTTY) {
    process.stdout.on('resize', onResize);
    onResize();
  }
  const done = new Promise<void>((resolve) => {
    const over = (): void => {
      stream.removeAllListeners('end').removeAllListeners('close');
      process.stdout.off('resize', onResize);
      if (raw) process.stdin.setRawMode(false);
      if (stdin) {
        process.stdin.unpipe(stream);
        process.stdin.pause();
        process.stdin.unref();
      }
      resolve();
    };
    stream.once('end', over);
    stream.once('close', over);
    stream.on('error', over);
  });
  return { done };
}

/** Attaches to a container, which need not run yet. Interrupts reach it, unless its terminal has them. */
export async function attach(
  client: ApiClient,
  container: Container,
  options: { tty: boolean; stdin: boolean; logs?: boolean },
): Promise<Attached> {
  const { tty, stdin, logs = false } = options;
  const stream = await container.attach({
    stream: true,
    hijack: true,
    stdin,
    stdout: true,
    stderr: true,
    logs,
  });
  const attached = connectTerminal(client, stream, {
    tty,
    stdin,
    resize: (size) => container.resize(size),
  });
  const forward = (signal: NodeJS.Signals): void => {
    container.kill({ signal }).catch(() => undefined); // it may have ended
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  for (const signal of signals) process.on(signal, forward);
  const done = attached.done.finally(() => {
    for (const signal of signals) process.off(signal, forward);
  });
  return { done };
}

export interface ExecOptions {
  detach?: boolean;
  tty?: boolean;
  interactive?: boolean;
  env?: string[];
  workdir?: string;
  user?: string;
  privileged?: boolean;
}

/** Runs a command in a container. Resolves with its exit code; 0 if it was detached. */
export async function runExec(
  client: ApiClient,
  containerId: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const {
    detach = false,
    tty = false,
    interactive = false,
    env,
    workdir,
    user,
    privileged = false,
  } = options;
  const exec: Exec = await client.docker.getContainer(containerId).exec({
    Cmd: [...command],
    Tty: tty,
    AttachStdin: interactive && !detach,
    AttachStdout: !detach,
    AttachStderr: !detach,
    Privileged: privileged,
    ...(env === undefined ? {} : { Env: env }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
    ...(user === undefined ? {} : { User: user }),
  });
  if (detach) {
    await client.call('POST', `/exec/${exec.id}/start`, { body: { Detach: true, Tty: tty } });
    return 0;
  }
  const stream = await exec.start({ hijack: true, stdin: interactive, Tty: tty });
  const { done } = connectTerminal(client, stream, {
    tty,
    stdin: interactive,
    resize: (size) => exec.resize(size),
  });
  await done;
  return (await exec.inspect()).ExitCode ?? 0;
}

export interface LogsOptions {
  follow?: boolean;
  timestamps?: boolean;
  tail?: string;
  since?: string;
  until?: string;
}

/** Writes a container's log here. */
export async function showLogs(client: ApiClient, containerId: string, options: LogsOptions): Promise<void> {
  const { Config } = await client.docker.getContainer(containerId).inspect();
  const stream = await client.stream(`/containers/${containerId}/logs`, {
    stdout: true,
    stderr: true,
    ...options,
  });
  if (Config.Tty) stream.pipe(process.stdout, { end: false });
  else client.docker.modem.demuxStream(stream, process.stdout, process.stderr);
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve).once('close', resolve).once('error', reject);
  });
}
