// `caisson upgrade`: another version of the program, while containers go on. The new daemon takes over the old one's VMs.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { DaemonError } from '../../errors';
import { projectDir, readBuild, type Build } from '../../versions';
import { ApiClient } from '../client/api-client';
import { answers, daemonProcess, startDaemonProcess, stopDaemonProcess } from './daemon-process';
import { aptInstall, runShown } from './debian-packages';
import { counted } from './down';
import { placesOf, type Places } from './places';
import { isManagedBySystemd, systemctl } from './systemd';
import { readFile } from 'node:fs/promises';

interface Running {
  version: string;
  commit: string;
  containers: string[];
}

function say(line: string): void {
  process.stderr.write(`caisson: ${line}\n`);
}

/** Installs the package, if one is given, and has the installed version take the running daemon's place. Throws what to do. */
export async function upgrade(packageFile: string | undefined): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new DaemonError('Forbidden', 'only root may do that: sudo caisson upgrade');
  const places = placesOf();
  const before = await runningEngine(places);
  if (packageFile !== undefined) await install(readBuild(), resolve(packageFile));
  const build = readBuild(); // of what is on the disk now
  if (before === undefined) {
    say(`${described(build)} is installed; no daemon runs: caisson up`);
    return;
  }
  // A Debian package's scripts have done it by now.
  const now = await runningEngine(places);
  if (now?.commit === build.commit && now.version === build.version) {
    tell(before, now);
    return;
  }
  await replaceDaemon(places);
  tell(before, await runningEngine(places));
}

async function install({ packaging }: Build, path: string): Promise<void> {
  if (!existsSync(path)) throw new DaemonError('NotFound', `there is no ${path}`);
  if (packaging === 'debian' && path.endsWith('.deb')) {
    await aptInstall([path], ['--reinstall', '--allow-downgrades']);
  } else if (packaging === 'npm' && path.endsWith('.tgz')) {
    // PREFIX/lib/node_modules/caisson/build/package
    const prefix = resolve(projectDir, '..', '..', '..', '..', '..');
    // all that it needs is in it: nothing is asked of a registry
    const quiet = ['--offline', '--no-audit', '--no-fund'];
    const code = await runShown('npm', ['install', '--global', ...quiet, '--prefix', prefix, path]);
    if (code !== 0) throw new DaemonError('Internal', `npm could not install ${path}; what it says is above`);
  } else {
    const wanted = {
      debian: 'a Debian package (.deb)',
      npm: 'an npm package (.tgz)',
      checkout: 'git pull, then npm run up',
    };
    throw new DaemonError(
      'InvalidParameter',
      `this caisson is upgraded by ${wanted[packaging]}, not by ${path}`,
    );
  }
}

async function replaceDaemon(places: Places): Promise<void> {
  if (isManagedBySystemd()) {
    await systemctl('restart', 'caisson.service');
    return;
  }
  const old = await daemonProcess(places);
  if (old === undefined) {
    throw new DaemonError(
      'Conflict',
      `the daemon on ${places.socket} was not started by caisson up: end it, and start it again as it was`,
    );
  }
  const [, , , ...args] = (await readFile(`/proc/${old.pid}/cmdline`, 'utf8')).replace(/\0$/, '').split('\0');
  await stopDaemonProcess(places);
  await startDaemonProcess(places, args);
}

/** Undefined: nobody answers. */
async function runningEngine({ socket }: Places): Promise<Running | undefined> {
  if (!existsSync(socket) || !(await answers(socket))) return undefined;
  const { docker } = new ApiClient(`unix://${socket}`);
  const [version, containers] = await Promise.all([docker.version(), docker.listContainers()]);
  return { version: version.Version, commit: version.GitCommit, containers: containers.map(({ Id }) => Id) };
}

/** Throws when a container has not come along. */
function tell(before: Running, after: Running | undefined): void {
  if (after === undefined)
    throw new DaemonError('Unavailable', 'the new daemon does not answer: see caisson doctor');
  const lost = before.containers.filter((id) => !after.containers.includes(id));
  const change =
    before.commit === after.commit
      ? `still ${described(after)}`
      : `${described(before)} → ${described(after)}`;
  say(`${change}; ${counted(before.containers.length - lost.length, 'container')} went on`);
  if (lost.length > 0) {
    throw new DaemonError(
      'Internal',
      `${counted(lost.length, 'container')} ended meanwhile: ${lost.map((id) => id.slice(0, 12)).join(', ')}; docker inspect says how`,
    );
  }
}

function described({ version, commit }: { version: string; commit: string }): string {
  return commit === '' ? version : `${version} (${commit.slice(0, 12)})`;
}
