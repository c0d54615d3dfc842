// `caisson up`: from a machine that has the program to one that runs containers. Again: nothing is done twice.

import { existsSync, readFileSync, readlinkSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DaemonError, errorMessage } from '../../errors';
import { projectDir, readBuild, type Build } from '../../versions';
import { ApiClient } from '../client/api-client';
import { pull } from '../client/pull';
import { write } from '../client/output';
import { answers, daemonProcess, startDaemonProcess } from './daemon-process';
import { installMissing } from './debian-packages';
import { contextName, ensureContext } from './docker-context';
import { placesOf, type Places } from './places';
import { isManagedBySystemd, systemctl } from './systemd';

export interface UpOptions {
  /** Installs what is missing without asking. */
  yes: boolean;
  /** Of the daemon, besides those of the environment. */
  daemonArgs: readonly string[];
  /** Makes the template, as `caisson prepare` does. */
  prepare: (args: readonly string[]) => Promise<void>;
}

const hello = 'caisson/hello';

function say(line: string): void {
  process.stderr.write(`caisson: ${line}\n`);
}

/** Throws what is wrong and what to do. */
export async function bringUp(options: UpOptions): Promise<void> {
  const places = placesOf();
  const build = readBuild();
  // dpkg has seen to the needs of its package
  if (build.packaging !== 'debian') await installMissing(options.yes, say);
  if (process.getuid?.() !== 0) {
    throw new DaemonError('Forbidden', 'the daemon needs root for now: run this as root (sudo caisson up)');
  }
  await ensureDaemon(places, options);
  if (build.packaging === 'checkout') linkCommand(places);
  const context = await ensureContext(`unix://${places.socket}`).catch((error: unknown) => {
    say(errorMessage(error));
    return 'no docker command' as const;
  });
  await tryHello(places);
  write(whatNow({ build, hasDocker: context !== 'no docker command', webUrl: webUrl(places) }));
}

async function ensureDaemon(places: Places, { daemonArgs, prepare }: UpOptions): Promise<void> {
  const host = `unix://${places.socket}`;
  if (existsSync(places.socket) && (await answers(places.socket))) {
    say(`already running on ${host}`);
    return;
  }
  if (isManagedBySystemd()) {
    await systemctl('start', 'caisson.socket', 'caisson.service');
    say(`listening on ${host}, log: journalctl -u caisson`);
    return;
  }
  const there = await daemonProcess(places);
  if (there !== undefined) {
    throw new DaemonError(
      'Conflict',
      `a daemon (pid ${there.pid}) is there but does not answer on ${places.socket}; see ${places.logFile}, or caisson down`,
    );
  }
  const common = [
    ...['--data-root', places.dataRoot, '--run-dir', places.runDir],
    ...places.daemonArgs,
    ...daemonArgs,
  ];
  await prepare(common);
  await startDaemonProcess(places, [...common, '--host', host, ...(await webArgs(places, common))]);
  say(`listening on ${host}, log in ${places.logFile}`);
}

const portsTried = 8;

/** The web page on its usual port, on one of the next where that is taken, or on any: those of root keep sessions over a restart. */
async function webArgs({ webPort }: Places, given: readonly string[]): Promise<string[]> {
  if (given.some((word) => word === '--web' || word.startsWith('--web='))) return [];
  for (let port = webPort; port < webPort + portsTried; port += 1)
    if (!(await isTaken(port))) return ['--web', `127.0.0.1:${port}`];
  return ['--web', '127.0.0.1:0'];
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (taken: boolean): void => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => tell(true)).once('error', () => tell(false));
  });
}

/** A checkout's command, unless another one is there. */
function linkCommand({ commandLink }: Places): void {
  const command = join(projectDir, 'bin', 'caisson');
  if (isNothing(commandLink)) symlinkSync(command, commandLink);
  if (!isLinkTo(commandLink, command)) say(`${commandLink} is something else: the command is ${command}`);
}

function isNothing(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) === undefined && readLink(path) === undefined;
}

export function isLinkTo(path: string, target: string): boolean {
  try {
    return realpathSync(path) === realpathSync(target);
  } catch {
    return false;
  }
}

export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** The first container, where its image is not there yet: so it is known that containers run. */
async function tryHello({ socket }: Places): Promise<void> {
  const client = new ApiClient(`unix://${socket}`);
  const isThere = await client.docker
    .getImage(hello)
    .inspect()
    .then(() => true)
    .catch(() => false);
  if (isThere) return;
  try {
    await pull(client, hello, { quiet: true });
    const container = await client.docker.createContainer({ Image: hello });
    try {
      const ended = container.wait({ condition: 'next-exit' }) as Promise<{ StatusCode: number }>;
      ended.catch(() => undefined);
      await container.start();
      const { StatusCode: code } = await ended;
      if (code !== 0) throw new Error(`it ended with ${code}`);
    } finally {
      await container.remove({ force: true }).catch(() => undefined);
    }
  } catch (error) {
    throw new DaemonError(
      'Internal',
      `the daemon runs, but the first container does not: ${client.explain(error).message}. See caisson doctor`,
      { cause: error },
    );
  }
}

/** The address has a token, which is good for one browser: this run of ours is told the one that is good now. */
function webUrl({ runDir }: Places): string | undefined {
  try {
    return readFileSync(join(runDir, 'web-url'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What to try, and how to end it. */
export function whatNow(facts: { build: Build; hasDocker: boolean; webUrl: string | undefined }): string {
  const { build, hasDocker, webUrl: url } = facts;
  const docker = `docker --context ${contextName}`;
  const lines = hasDocker
    ? [`${docker} run --rm ${hello}`, `${docker} run -it --rm ${hello} sh`, `${docker} ps -a`]
    : [`caisson run --rm ${hello}`, `caisson run -it --rm ${hello} sh`];
  const down = build.packaging === 'checkout' ? 'npm run down' : 'caisson down';
  return [
    '',
    'Try:',
    ...lines.map((line) => `  ${line}`),
    '  caisson ls',
    '',
    ...(hasDocker ? [] : ['With the docker command too (docker.io, or docker-cli): caisson context', '']),
    ...(url === undefined || url === ''
      ? []
      : ['To look at it, in a browser on this machine (the address is good once):', `  ${url}`, '']),
    `Stop the daemon with \`${down}\`; what is wrong with this machine, if anything, says \`caisson doctor\`.`,
    '',
  ].join('\n');
}
