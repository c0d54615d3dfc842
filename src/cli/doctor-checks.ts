// The requirements of a machine that runs containers, each looked at by itself. None of them changes anything.

import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, openSync, closeSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdtemp, rm, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { freemem, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

import type { Config } from '../config';
import { errorMessage, systemErrorCode } from '../errors';
import { knownVmUidBase } from '../daemon/vm-users';
import { checkNetworkRequirements } from '../network/requirements';
import { helperEnvironment } from '../host/helper-environment';
import { missingPrivilege } from '../host/privileges';
import { describeTemplate, probeAccelerator } from '../vm/pool/vm-pool';
import { readPackaging } from '../versions';
import { type Finding, fail, ok, warn } from './doctor-report';

const gibibyte = 1024 ** 3;

interface ProgramResult {
  /** Undefined: it could not be executed. */
  output: string | undefined;
  exitCode: number;
}

/** Runs a program to look at it: never rejects, ends it after ten seconds. */
function runProgram(program: string, args: readonly string[]): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const options = { timeout: 10_000, encoding: 'utf8', env: helperEnvironment() } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (systemErrorCode(error) === 'ENOENT') resolve({ output: undefined, exitCode: 127 });
      else resolve({ output: stdout + stderr, exitCode: error === null ? 0 : 1 });
    });
  });
}

/** A package lacks nothing of its own unless somebody took it away. */
const isPackaged = readPackaging() !== 'checkout';
const setupAdvice = isPackaged ? 'caisson up' : 'npm run setup';
const guestAdvice = isPackaged ? 'install the package again' : 'npm run guest';

/** Programs that the daemon starts, besides QEMU, by the package that has them. */
const requiredPrograms: readonly (readonly [program: string, versionFlag: string, usedFor: string])[] = [
  ['sqfstar', '-version', 'turning image layers into disks (squashfs-tools)'],
  ['mke2fs', '-V', 'writable disks (e2fsprogs)'],
  ['ip', '-V', 'bridges and taps (iproute2)'],
  ['nft', '--version', 'isolation between networks (nftables)'],
  ['slirp4netns', '--version', 'egress of containers (slirp4netns)'],
  ['zstd', '--version', 'layers compressed with zstd (zstd)'],
  ['xz', '--version', 'archives compressed with xz (xz-utils)'],
  ['bzip2', '--help', 'archives compressed with bzip2 (bzip2)'],
  ['nsenter', '--version', 'entering the private network namespace (util-linux)'],
];

export async function checkPrograms(): Promise<Finding[]> {
  const missing: string[] = [];
  for (const [program, flag, usedFor] of requiredPrograms) {
    if ((await runProgram(program, [flag])).output === undefined) missing.push(`${program}: ${usedFor}`);
  }
  if (missing.length === 0) return [ok('programs', requiredPrograms.map(([program]) => program).join(', '))];
  return missing.map((line) => fail('programs', `missing ${line}`, setupAdvice));
}

export async function checkQemu(config: Config): Promise<Finding[]> {
  const { output } = await runProgram(config.qemuBinary, ['--version']);
  if (output === undefined) return [fail('qemu', `${config.qemuBinary} is not there`, setupAdvice)];
  const version = /version (\d+)\.(\d+)[^\s]*/.exec(output);
  if (version === null) return [fail('qemu', `${config.qemuBinary} says: ${output.trim()}`, setupAdvice)];
  const finding = Number(version[1]) >= 7 ? ok : warn;
  const machines = await runProgram(config.qemuBinary, ['-machine', 'help']);
  return [
    finding(
      'qemu',
      `${config.qemuBinary}, ${version[0]}${Number(version[1]) >= 7 ? '' : '; tested with 7.2'}`,
    ),
    ...(machines.output?.includes('microvm') === true
      ? []
      : [fail('qemu', 'this QEMU has no machine type microvm', 'install Debian’s qemu-system-x86')]),
  ];
}

/**
 * What can be told without booting a guest: whether the device is there, and may be opened, by us and by the users that VMs
 * run as, who have its group if that isn't root's.
 */
export function checkKvmDevice(path = '/dev/kvm'): Finding[] {
  if (!existsSync(path)) {
    return [
      warn(
        'kvm',
        'no /dev/kvm: guests run under emulation, ten times slower or more inside',
        'turn on virtualisation in the firmware, or nested virtualisation in the hypervisor above this machine',
      ),
    ];
  }
  try {
    closeSync(openSync(path, 'r+'));
    const { mode, uid, gid } = statSync(path);
    if ((mode & 0o006) === 0o006 || (gid !== 0 && (mode & 0o060) === 0o060))
      return [ok('kvm', `${path} can be opened`)];
    const permissions = `mode ${(mode & 0o777).toString(8).padStart(4, '0')}, owner ${uid}, group ${gid}`;
    return [
      warn(
        'kvm',
        `${path} (${permissions}): root may open it, the users that VMs run as may not, so guests run under emulation`,
        `groupadd -rf kvm && chgrp kvm ${path} && chmod 0660 ${path}; to make it last, a udev rule: KERNEL=="kvm", GROUP="kvm", MODE="0660"`,
      ),
    ];
  } catch (error) {
    return [warn('kvm', `${path}: ${errorMessage(error)}`, 'add the user to the group kvm, or run as root')];
  }
}

/**
 * Which accelerator the daemon uses and why: asked of the daemon's own probe, so that the two agree. What it finds is
 * remembered where the daemon looks for it, if that may be written.
 */
export async function checkAccelerator(config: Config): Promise<Finding[]> {
  // Without a guest or QEMU there is nothing to try; checkGuest and checkQemu say so.
  if (missingGuestParts(config).length > 0 || !existsSync(config.qemuBinary)) return [];
  const dir = await mkdtemp(join(tmpdir(), 'caisson-doctor-'));
  try {
    await chmod(dir, 0o711); // the trial's VM runs as a user of its own
    const isPlace = isWritable(config.dataRoot) && isWritable(config.runDir);
    const places = isPlace ? {} : { dataRoot: dir, runDir: dir };
    const vmUidBase = (await knownVmUidBase(config)) ?? config.vmUidBase;
    const { kind, reason, detail } = await probeAccelerator({ ...config, vmUidBase, ...places });
    const why = detail === undefined ? reason : `no guest boots under /dev/kvm: ${detail}`;
    return [(kind === 'kvm' ? ok : warn)('accelerator', `${kind}: ${why}`)];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Whether a template is there to clone. Its absence costs the first container some seconds, once. */
export async function checkTemplate(config: Config): Promise<Finding[]> {
  const templates = await describeTemplate(config);
  const sound = templates.find(({ intact }) => intact);
  if (sound !== undefined) {
    const mebibytes = (sound.allocatedBytes / 1024 ** 2).toFixed(0);
    return [ok('template', `${sound.key}, agent ${sound.agentBuild}, ${mebibytes} MiB on disk`)];
  }
  return [
    templates.length > 0
      ? warn('template', 'changed since it was made: the daemon will make another')
      : ok('template', 'none yet: the daemon, or `caisson prepare`, makes it'),
  ];
}

const guestParts = ['vmlinuz', 'initramfs.cpio.gz', 'manifest.json'];
/** Native programs and what each is for; the daemon does without those that only warn, where nobody asks for them. */
const nativeParts: readonly (readonly [name: string, usedFor: string, level: 'fail' | 'warn'])[] = [
  ['vm-launch', 'starting VMs', 'fail'],
  ['readonly-memory.so', 'keeping VMs from changing the template', 'fail'],
  ['fs-server', 'binds and volumes', 'fail'],
  ['share-open', 'binds and volumes', 'fail'],
  ['netd-host', 'networks and published ports', 'fail'],
  ['netd-ports', 'published ports', 'fail'],
  ['datagram-send', 'log drivers that send to sockets of the host', 'warn'],
  ['tsc-rate', 'emulated VMs that boot at the first try', 'warn'],
  ['stale-code.so', 'emulated VMs that go on when their kernel changes its own code', 'fail'],
  ['forkable.so', 'emulated VMs that start fast', 'warn'],
];

function missingGuestParts(config: Config): string[] {
  return guestParts.filter((part) => !existsSync(join(config.guestDir, part)));
}

export function checkGuest(config: Config): Finding[] {
  const missing = missingGuestParts(config);
  if (missing.length > 0) {
    return [fail('guest', `missing ${missing.join(', ')} in ${config.guestDir}`, guestAdvice)];
  }
  const sizeMib =
    guestParts.reduce((sum, part) => sum + statSync(join(config.guestDir, part)).size, 0) / 1024 ** 2;
  return [ok('guest', `${config.guestDir}, ${sizeMib.toFixed(1)} MiB`)];
}

export function checkHelpers(config: Config): Finding[] {
  const findings: Finding[] = [];
  for (const [name, usedFor, level] of nativeParts) {
    const path = join(config.nativeDir, name);
    // A library is loaded, not executed.
    if (name.endsWith('.so') ? existsSync(path) : isExecutable(path)) continue;
    findings.push({
      level,
      subject: 'helpers',
      detail: `missing ${path}: ${usedFor}`,
      advice: guestAdvice,
    });
  }
  return findings.length > 0 ? findings : [ok('helpers', nativeParts.map(([name]) => name).join(', '))];
}

/** What the networks need of this kernel, each tried in a namespace of its own. */
export async function checkNetwork(): Promise<Finding[]> {
  const requirements = await checkNetworkRequirements();
  return requirements.map(({ level, subject, detail, advice }) =>
    level === 'ok' ? ok(subject, detail) : fail(subject, detail, advice ?? setupAdvice),
  );
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function isExecutable(path: string): boolean {
  return isAccessible(path, constants.X_OK);
}

function isWritable(path: string): boolean {
  return isAccessible(path, constants.W_OK);
}

export function checkUser({ vmUidBase }: Pick<Config, 'vmUidBase'>): Finding[] {
  const missing = missingPrivilege(vmUidBase);
  return [
    missing === undefined
      ? ok('user', 'root')
      : fail('user', missing, 'run the daemon as root: this version does not work without'),
  ];
}

/** The directory, or the first one above it that exists. */
function existingAncestor(path: string): string {
  return existsSync(path) ? path : existingAncestor(dirname(path));
}

export async function checkDataRoot(config: Config): Promise<Finding[]> {
  const dir = existingAncestor(config.dataRoot);
  const findings: Finding[] = [];
  if (!isWritable(dir)) {
    findings.push(fail('data root', `${dir} is not writable`, `run as root, or choose another --data-root`));
  }
  const { bavail, bsize, type } = await statfs(dir);
  const freeGib = (bavail * bsize) / gibibyte;
  const where = `${config.dataRoot}, ${freeGib.toFixed(1)} GiB free`;
  if (freeGib < 1) {
    findings.push(fail('data root', where, 'make room: layers, disks and templates live there'));
  } else if (freeGib < 5) {
    findings.push(warn('data root', where, 'make room: layers, disks and templates live there'));
  } else {
    findings.push(ok('data root', where));
  }
  const tmpfsMagic = 0x01021994;
  if (type === tmpfsMagic) {
    findings.push(
      warn(
        'data root',
        'a tmpfs: what guests touch of the template stays in memory',
        'use a disk file system',
      ),
    );
  }
  return findings;
}

export function checkMemory(): Finding[] {
  const available = /^MemAvailable: +(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  const freeBytes = available === undefined ? freemem() : Number(available) * 1024;
  const text = `${(freeBytes / gibibyte).toFixed(1)} of ${(totalmem() / gibibyte).toFixed(1)} GiB available; a VM takes 50 to 60 MiB before its container`;
  return [freeBytes < gibibyte / 2 ? warn('memory', text, 'stop something') : ok('memory', text)];
}

/** Whether something answers on each of the daemon's addresses, and whether it could be bound. */
export async function checkHosts(config: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const host of config.hosts) {
    if (!host.startsWith('unix://')) {
      findings.push(ok('listens on', host));
      continue;
    }
    const path = host.slice('unix://'.length);
    if (Buffer.byteLength(path) > 107) {
      findings.push(fail('listens on', `${path} is longer than 107 bytes`, 'choose a shorter --host'));
    } else if (await answers(path)) {
      findings.push(ok('listens on', `${host}, where a daemon answers`));
    } else {
      findings.push(
        ok('listens on', `${host}, nobody there now${existsSync(path) ? ' (a stale socket is)' : ''}`),
      );
    }
  }
  return findings;
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
