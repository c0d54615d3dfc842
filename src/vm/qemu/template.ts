// The template: a VM that was booted once, saved, and is cloned for each container (docs/adr/0002-template-clones.md).
// Directory: memory (the RAM, sparse), state (QEMU's devices), vmlinuz, initramfs, kernel-head, template.json.

import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { makePassableDirectory } from '../../host/directories';
import { syncPath } from '../../host/sync-path';
import type { DiskOwner } from '../host/disk-access';
import { bootGuest, discardGuest, type RunningGuest } from './boot';
import { kernelCommandLine, qemuArguments, type MachineSpec } from './command-line';
import { vmGid, vmUid, type LaunchSettings } from './launch';
import { saveState } from './save-state';
import type { VmResources } from '../contract/vm';
import { makeWarmUpDisks, warmUpDisks, type WarmUpDisks } from './warm-up';

export interface Template {
  key: string;
  memoryPath: string;
  statePath: string;
  /** For the clones' command line. */
  kernelHeadPath: string;
  /** Id of the agent's build that runs in it. */
  agentBuild: string;
  warmUp: WarmUpDisks;
}

export interface TemplateSource {
  /** Directory of all templates. */
  templatesDir: string;
  /** Of the users of VMs, which pass to the templates; undefined: they have none of their own. */
  gid: number | undefined;
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
  resources: VmResources;
  seal: TemplateSeal;
}

/** Of the files in a template's directory. */
const layoutVersion = 4;
const kernelHeadName = 'kernel-head';
/** The boot sector, the set-up code and a little of the rest: QEMU finds a whole Linux header in it. */
const kernelHeadBytes = 128 * 1024;
const bootAttempts = 4;
/** Of the VM's own time. A guest under emulation takes seconds; one that hangs takes for ever. So each attempt has longer. */
const firstBootTimeoutMs = 40_000;
const longestBootTimeoutMs = 120_000;
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
    { id: '', memory: { kind: 'private' }, tapDescriptors: [] },
  );
  const parts = [
    layoutVersion,
    qemu.size,
    qemu.mtimeMs,
    manifest,
    kernelCommandLine(machine),
    args,
    settings.namespacePath !== undefined,
    source.gid, // its files are of that group
    // under KVM the guest has this host's CPU (`-cpu host`), and would go on with another one after the data root has moved
    machine.accelerator === 'kvm' ? await hostCpu() : '',
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);
}

/** Model, stepping, microcode and features of the host's first CPU. */
async function hostCpu(): Promise<string> {
  const [first = ''] = (await readFile('/proc/cpuinfo', 'utf8')).split('\n\n');
  const telling = /^(vendor_id|cpu family|model|model name|stepping|microcode|flags)\s*:/;
  return first
    .split('\n')
    .filter((line) => telling.test(line))
    .join('\n');
}

/** The guest's manifest as text. Throws NotFound telling how to build the guest. */
export async function readManifest(guestDir: string): Promise<string> {
  try {
    return await readFile(join(guestDir, 'manifest.json'), 'utf8');
  } catch (error) {
    throw new DaemonError('NotFound', `no guest in ${guestDir}: see caisson doctor (${errorMessage(error)})`);
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
    const description = await readDescription(directory);
    if (!isDeepStrictEqual(await sealOf(memoryPath), description.seal)) {
      log.error('the template was changed by someone and is thrown away', { key });
      await rm(directory, { recursive: true, force: true });
      return undefined;
    }
    const { agentBuild } = description;
    return {
      key,
      memoryPath,
      statePath: join(directory, 'state'),
      kernelHeadPath: join(directory, kernelHeadName),
      agentBuild,
      warmUp: warmUpDisks(directory),
    };
  } catch {
    return undefined;
  }
}

/** What VMs of this template have, and when it was used last; undefined for one that is not whole. */
export async function templateSize(
  source: TemplateSource,
  key: string,
): Promise<{ resources: VmResources; usedMs: number } | undefined> {
  const directory = join(source.templatesDir, key);
  try {
    const { resources } = await readDescription(directory);
    return { resources, usedMs: (await stat(join(directory, 'state'))).mtimeMs };
  } catch {
    return undefined;
  }
}

/** For doctor: what there is, without making anything. */
export async function describeTemplate(
  templatesDir: string,
): Promise<{ key: string; agentBuild: string; intact: boolean; allocatedBytes: number }[]> {
  const names = await readdir(templatesDir).catch(() => []);
  const found = await Promise.all(
    names.map(async (key) => {
      try {
        const memoryPath = join(templatesDir, key, 'memory');
        const { agentBuild, seal } = await readDescription(join(templatesDir, key));
        const intact = isDeepStrictEqual(await sealOf(memoryPath), seal);
        const { blocks } = await stat(memoryPath);
        return { key, agentBuild, intact, allocatedBytes: blocks * 512 };
      } catch {
        return undefined; // one that is being made
      }
    }),
  );
  return found.filter((template) => template !== undefined);
}

async function readDescription(directory: string): Promise<TemplateDescription> {
  // Our own file; whoever can write it can write all the rest.
  return JSON.parse(await readFile(join(directory, 'template.json'), 'utf8')) as TemplateDescription;
}

export async function removeTemplateDir(source: TemplateSource, key: string): Promise<void> {
  await rm(join(source.templatesDir, key), { recursive: true, force: true });
}

/** Puts kernel and initramfs in place. Idempotent. */
export async function prepareTemplateDir(source: TemplateSource, key: string): Promise<void> {
  const directory = join(source.templatesDir, key);
  const { kernelPath, initramfsPath } = templateKernel(source, key);
  await makePassableDirectory(directory, source.gid);
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

/** Boots, saves and seals the template. Nothing half-made is ever found: template.json is written last. */
export async function makeTemplate(
  settings: LaunchSettings,
  source: TemplateSource,
  key: string,
  machine: MachineSpec,
  vm: { id: string; slot: number; signal: AbortSignal },
): Promise<Template> {
  const started = Date.now();
  await prepareTemplateDir(source, key);
  const directory = join(source.templatesDir, key);
  const memoryPath = join(directory, 'memory');
  const statePath = join(directory, 'state');
  const guest = await bootWithRetry(async (timeoutMs) => {
    await makeMemoryFile(memoryPath, machine.memoryBytes, ownerOf(settings, vm.slot));
    return bootGuest(settings, {
      ...vm,
      machine,
      memory: { kind: 'template', path: memoryPath },
      timeoutMs,
    });
  }, vm.signal);
  const agentBuild = guest.agent.hello.build;
  try {
    // The clones' daemon connects anew; the guest shall be saved in the state of nobody being there.
    guest.agent.disconnect();
    await saveState(guest, statePath, {
      owner: ownerOf(settings, vm.slot),
      withMemory: false,
      timeoutMs: saveTimeoutMs,
    });
  } finally {
    await discardGuest(guest);
  }
  await protectMemoryFile(memoryPath, settings.uidBase);
  await makeKernelHead(directory);
  await makeWarmUpDisks(directory, join(source.guestDir, 'docker-init'));
  const { memoryBytes, cpus } = machine;
  const description: TemplateDescription = {
    agentBuild,
    resources: { memoryBytes, cpus },
    seal: await sealOf(memoryPath),
  };
  // After a power failure a description must not stand for memory that never reached the disk.
  await Promise.all([memoryPath, statePath].map(syncPath));
  await writeFile(join(directory, 'template.json'), JSON.stringify(description));
  log.info('template made', { key, ms: Date.now() - started });
  return {
    key,
    memoryPath,
    statePath,
    kernelHeadPath: join(directory, kernelHeadName),
    agentBuild,
    warmUp: warmUpDisks(directory),
  };
}

/**
 * A boot under emulation may hang on a loaded host: each has a deadline, and there are several. A guest that panics or a QEMU that
 * exits is seen before it.
 */
export async function bootWithRetry(
  boot: (timeoutMs: number) => Promise<RunningGuest>,
  signal?: AbortSignal,
): Promise<RunningGuest> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await boot(Math.min(attempt * firstBootTimeoutMs, longestBootTimeoutMs));
    } catch (error) {
      if (attempt >= bootAttempts || signal?.aborted === true) throw error;
      log.warn('a VM did not boot, trying again', { attempt, error: errorMessage(error) });
    }
  }
}

/** The user that the template's QEMU runs as. */
function ownerOf({ uidBase }: LaunchSettings, slot: number): DiskOwner | undefined {
  return uidBase === undefined ? undefined : { uid: vmUid(uidBase, slot), gid: vmGid(uidBase) };
}

/** Written by the template's QEMU alone. */
async function makeMemoryFile(path: string, bytes: number, owner: DiskOwner | undefined): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(bytes);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
}

/** From now on read by all VMs, written by none: one that could would change the memory of the others. */
async function protectMemoryFile(path: string, uidBase: number | undefined): Promise<void> {
  if (uidBase !== undefined) await chown(path, 0, vmGid(uidBase));
  await chmod(path, 0o440);
}

async function makeKernelHead(directory: string): Promise<void> {
  const path = join(directory, kernelHeadName);
  const kernel = await open(join(directory, 'vmlinuz'));
  try {
    const head = Buffer.alloc(kernelHeadBytes);
    const { bytesRead } = await kernel.read(head, 0, kernelHeadBytes, 0);
    await writeFile(path, head.subarray(0, bytesRead));
    await chmod(path, 0o644);
  } finally {
    await kernel.close();
  }
}

async function sealOf(path: string): Promise<TemplateSeal> {
  const { size, mtimeMs, ctimeMs, ino } = await stat(path);
  return { size, mtimeMs, ctimeMs, inode: ino };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
