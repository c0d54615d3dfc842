// The template: a VM that was booted once, saved, and is cloned for each container (docs/adr/0002-template-clones.md).
// Directory: memory (the RAM, sparse), state (QEMU's devices), vmlinuz, initramfs, template.json.

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { bootGuest, discardGuest, migrationCompleted, type RunningGuest } from './boot';
import { kernelCommandLine, qemuArguments, type MachineSpec } from './command-line';
import { vmGid, type LaunchSettings } from './launch';
import { makeWarmUpDisks, warmUpDisks, type WarmUpDisks } from './warm-up';

export interface Template {
  key: string;
  memoryPath: string;
  statePath: string;
  /** Id of the agent's build that runs in it. */
  agentBuild: string;
  warmUp: WarmUpDisks;
}

export interface TemplateSource {
  /** Directory of all templates. */
  templatesDir: string;
  /** Where the guest's build left vmlinuz, initramfs.cpio.gz and manifest.json. */
  guestDir: string;
}

/** Size and times of the memory file when it was made: a VM that has broken out of QEMU could write to it. */
interface TemplateSeal {
  size: number;
  mtimeMs: number;
  ctimeMs: number;
  inode: number;
}

interface TemplateDescription {
  agentBuild: string;
  seal: TemplateSeal;
}

/** Of the files in a template's directory. */
const layoutVersion = 2;
const bootAttempts = 4;
/** A guest under emulation on a busy host takes seconds; one that hangs takes for ever. */
const bootTimeoutMs = 40_000;
const saveTimeoutMs = 30_000;

/** Everything that the saved state depends on. A changed key means a new template. */
export async function templateKey(
  machine: MachineSpec,
  settings: LaunchSettings,
  source: TemplateSource,
): Promise<string> {
  const qemu = await stat(settings.qemuBinary);
  const manifest = await readManifest(source.guestDir);
  const args = qemuArguments(
    { ...machine, kernelPath: '', initramfsPath: '' },
    { runDir: '', memory: { kind: 'private' }, tapDescriptors: [] },
  );
  const parts = [
    layoutVersion,
    qemu.size,
    qemu.mtimeMs,
    manifest,
    kernelCommandLine(machine),
    args,
    settings.namespacePath !== undefined,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);
}

/** The guest's manifest as text. Throws NotFound telling how to build the guest. */
export async function readManifest(guestDir: string): Promise<string> {
  try {
    return await readFile(join(guestDir, 'manifest.json'), 'utf8');
  } catch (error) {
    throw new DaemonError(
      'NotFound',
      `no guest in ${guestDir}: run "npm run guest" (${errorMessage(error)})`,
    );
  }
}

/** Where a template of this key keeps kernel and initramfs: copies, since VMs can't read the source tree everywhere. */
export function templateKernel(
  source: TemplateSource,
  key: string,
): { kernelPath: string; initramfsPath: string } {
  const directory = join(source.templatesDir, key);
  return { kernelPath: join(directory, 'vmlinuz'), initramfsPath: join(directory, 'initramfs') };
}

/** The template of this key if it exists whole and untouched; undefined otherwise. Cheap enough for every clone. */
export async function findTemplate(source: TemplateSource, key: string): Promise<Template | undefined> {
  const directory = join(source.templatesDir, key);
  const memoryPath = join(directory, 'memory');
  try {
    const description = JSON.parse(
      await readFile(join(directory, 'template.json'), 'utf8'),
    ) as TemplateDescription;
    const seal = await sealOf(memoryPath);
    if (JSON.stringify(seal) !== JSON.stringify(description.seal)) {
      log.error('the template was changed by someone and is thrown away', { key });
      await rm(directory, { recursive: true, force: true });
      return undefined;
    }
    const { agentBuild } = description;
    return {
      key,
      memoryPath,
      statePath: join(directory, 'state'),
      agentBuild,
      warmUp: warmUpDisks(directory),
    };
  } catch {
    return undefined;
  }
}

/** Puts kernel and initramfs in place. Idempotent. */
export async function prepareTemplateDir(source: TemplateSource, key: string): Promise<void> {
  const directory = join(source.templatesDir, key);
  const { kernelPath, initramfsPath } = templateKernel(source, key);
  await mkdir(directory, { recursive: true, mode: 0o711 });
  await chmod(source.templatesDir, 0o711);
  for (const [from, to] of [
    [join(source.guestDir, 'vmlinuz'), kernelPath],
    [join(source.guestDir, 'initramfs.cpio.gz'), initramfsPath],
  ] as const) {
    if (await exists(to)) continue;
    await copyFile(from, `${to}.new`);
    await chmod(`${to}.new`, 0o644);
    await rename(`${to}.new`, to);
  }
}

/**
 * Boots, saves and seals the template, and removes those of other keys. Nothing half-made is ever found: template.json
 * is written last.
 */
export async function makeTemplate(
  settings: LaunchSettings,
  source: TemplateSource,
  key: string,
  machine: MachineSpec,
  vm: { id: string; slot: number },
): Promise<Template> {
  const started = Date.now();
  await prepareTemplateDir(source, key);
  const directory = join(source.templatesDir, key);
  const memoryPath = join(directory, 'memory');
  const statePath = join(directory, 'state');
  const guest = await bootWithRetry(async () => {
    await makeMemoryFile(memoryPath, machine.memoryBytes, settings.uidBase);
    return bootGuest(settings, {
      ...vm,
      machine,
      memory: { kind: 'template', path: memoryPath },
      timeoutMs: bootTimeoutMs,
    });
  });
  const agentBuild = guest.agent.hello.build;
  try {
    // The clones' daemon connects anew; the guest shall be saved in the state of nobody being there.
    guest.agent.disconnect();
    await saveState(guest, statePath);
  } finally {
    await discardGuest(guest);
  }
  await makeWarmUpDisks(directory, join(source.guestDir, 'docker-init'));
  const description: TemplateDescription = { agentBuild, seal: await sealOf(memoryPath) };
  await writeFile(join(directory, 'template.json'), JSON.stringify(description));
  await removeOtherTemplates(source, key);
  log.info('template made', { key, ms: Date.now() - started });
  return { key, memoryPath, statePath, agentBuild, warmUp: warmUpDisks(directory) };
}

/** A boot under emulation may hang on a loaded host: each has a deadline, and there are several. */
export async function bootWithRetry(boot: () => Promise<RunningGuest>): Promise<RunningGuest> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await boot();
    } catch (error) {
      if (attempt >= bootAttempts) throw error;
      log.warn('a VM did not boot, trying again', { attempt, error: errorMessage(error) });
    }
  }
}

async function saveState(guest: RunningGuest, statePath: string): Promise<void> {
  const socketPath = join(guest.runDir, 'save.sock');
  const server = createServer();
  const saved = new Promise<void>((resolve, reject) => {
    server.on('connection', (socket) => {
      pipeline(socket, createWriteStream(statePath, { mode: 0o644 })).then(resolve, reject);
    });
    server.on('error', reject);
  });
  saved.catch(() => undefined); // awaited below, unless the migration fails first
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  try {
    // Of the run directory's owner: QEMU is not root.
    await chmod(socketPath, 0o666);
    await guest.qmp.execute('stop');
    await guest.qmp.execute('migrate-set-capabilities', {
      capabilities: [
        { capability: 'x-ignore-shared', state: true },
        { capability: 'events', state: true },
      ],
    });
    const completed = migrationCompleted(guest.qmp, saveTimeoutMs);
    completed.catch(() => undefined);
    await guest.qmp.execute('migrate', { uri: `unix:${socketPath}` });
    await completed;
    await saved;
  } finally {
    server.close();
  }
}

async function makeMemoryFile(path: string, bytes: number, uidBase: number | undefined): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o660);
  try {
    await file.truncate(bytes);
  } finally {
    await file.close();
  }
  if (uidBase !== undefined) {
    await chown(path, 0, vmGid(uidBase));
    await chmod(path, 0o660); // whatever the umask is
  }
}

async function sealOf(path: string): Promise<TemplateSeal> {
  const { size, mtimeMs, ctimeMs, ino } = await stat(path);
  return { size, mtimeMs, ctimeMs, inode: ino };
}

async function removeOtherTemplates(source: TemplateSource, key: string): Promise<void> {
  for (const name of await readdir(source.templatesDir)) {
    if (name !== key) await rm(join(source.templatesDir, name), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
