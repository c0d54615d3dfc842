// What the daemon needs of Debian: which packages, which of them are missing, and their installation.

import { spawn } from 'node:child_process';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { DaemonError, systemErrorCode } from '../../errors';
import { runTool } from '../../host/run-tool';
import { projectDir } from '../../versions';

export interface WantedPackage {
  name: string;
  /** For people. */
  why: string;
}

/** The lines of scripts/packages.txt that containers need to run. */
export function parsePackages(text: string, need = 'run'): WantedPackage[] {
  return text
    .split('\n')
    .map((line) => /^(\w+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .filter(([, its]) => its === need)
    .map(([, , name = '', why = '']) => ({ name, why }));
}

/** Undefined where there is no dpkg: nothing is known of that system's packages. */
export async function missingPackages(): Promise<WantedPackage[] | undefined> {
  const wanted = parsePackages(await readFile(join(projectDir, 'scripts', 'packages.txt'), 'utf8'));
  let listed: string;
  try {
    listed = await runTool('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Package}\n']);
  } catch {
    return undefined;
  }
  const installed = new Set(
    listed.split('\n').flatMap((line) => (line.startsWith('installed ') ? [line.slice(10)] : [])),
  );
  return wanted.filter(({ name }) => !installed.has(name));
}

/** Installs what is missing, after a yes of the person in front of the terminal or with `yes`. Throws what is to be done otherwise. */
export async function installMissing(yes: boolean, say: (line: string) => void): Promise<void> {
  const missing = await missingPackages();
  if (missing === undefined) {
    say('not a Debian system: its packages are not looked at; caisson doctor says what is missing');
    return;
  }
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  say('needed of Debian, and not there:');
  const width = Math.max(...names.map(({ length }) => length));
  for (const { name, why } of missing) say(`  ${name.padEnd(width)}  ${why}`);
  const line = `apt-get install --no-install-recommends ${names.join(' ')}`;
  if (process.getuid?.() !== 0)
    throw new DaemonError('Forbidden', `only root may install them: sudo ${line}`);
  if (!yes) {
    if (!process.stdin.isTTY)
      throw new DaemonError('InvalidParameter', `nobody is there to ask: caisson up --yes, or ${line}`);
    if (!(await isAgreed('Install them now? [Y/n] ')))
      throw new DaemonError('Conflict', `not now, then; later: ${line}`);
  }
  await aptInstall(names);
}

async function isAgreed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^(y|yes|)$/i.test((await lines.question(question)).trim());
  } finally {
    lines.close();
  }
}

/** By apt, whose output is shown. Lists that are old or not there are fetched, and it is tried once more. */
export async function aptInstall(names: readonly string[], options: readonly string[] = []): Promise<void> {
  const apt = [
    '-y',
    '-q',
    '--no-install-recommends',
    '-o',
    'Dpkg::Use-Pty=0',
    ...options,
    'install',
    ...names,
  ];
  const release = await holdServices();
  try {
    if ((await runShown('apt-get', apt)) === 0) return;
    if ((await runShown('apt-get', ['update', '-q'])) === 0 && (await runShown('apt-get', apt)) === 0) return;
    throw new DaemonError('Internal', 'apt-get could not install them; what it says is above');
  } finally {
    await release();
  }
}

/** Debian starts what it installs; what we bring shall not start services of its own. Resolves with what ends that. */
async function holdServices(): Promise<() => Promise<void>> {
  const policy = '/usr/sbin/policy-rc.d';
  try {
    await writeFile(policy, '#!/bin/sh\n# while caisson installs packages\nexit 101\n', { flag: 'wx' });
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return () => Promise.resolve(); // somebody else's wish, which holds too
    throw error;
  }
  await chmod(policy, 0o755);
  return () => rm(policy, { force: true });
}

/** Its output goes to our standard error. Resolves with the exit status. */
export function runShown(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
