// What tests of the guest start: Docker's defaults as the agent takes them, and disks to run them from.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectDir } from '../process/project-dir';
import type { GuestContainerSpec, GuestPodSpec, GuestProcess } from '../../../src/vm/contract/protocol';

const defaultCapabilities = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
].map((name) => `CAP_${name}`);

export function processSpec(args: string[], changes: Partial<GuestProcess> = {}): GuestProcess {
  return {
    args,
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=test'],
    cwd: '/',
    user: '',
    additionalGroups: [],
    terminal: false,
    capabilities: defaultCapabilities,
    noNewPrivileges: false,
    rlimits: [],
    oomScoreAdj: 0,
    seccomp: 'default',
    ...changes,
  };
}

/** What Docker gives a container without options. */
export function containerSpec(
  id: string,
  rootfs: { layers: number[]; writable: number },
  process: GuestProcess,
  changes: Partial<GuestContainerSpec> = {},
): GuestContainerSpec {
  const secure = ['nosuid', 'noexec', 'nodev'];
  const mount = (type: string, source: string, target: string, options: string[]) => ({
    type,
    source,
    target,
    options,
  });
  return {
    id,
    rootfs: {
      layers: rootfs.layers.map((lun) => ({ lun })),
      writable: { lun: rootfs.writable },
      readonly: false,
    },
    process,
    init: false,
    pidNamespace: 'container',
    ipcNamespace: 'pod',
    utsNamespace: 'pod',
    networkNamespace: 'pod',
    cgroupNamespace: 'container',
    mounts: [
      mount('proc', 'proc', '/proc', secure),
      mount('tmpfs', 'tmpfs', '/dev', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
      mount('devpts', 'devpts', '/dev/pts', [
        'nosuid',
        'noexec',
        'newinstance',
        'ptmxmode=0666',
        'mode=0620',
        'gid=5',
      ]),
      mount('sysfs', 'sysfs', '/sys', [...secure, 'ro']),
      mount('cgroup', 'cgroup', '/sys/fs/cgroup', ['ro', ...secure]),
      mount('mqueue', 'mqueue', '/dev/mqueue', secure),
      mount('tmpfs', 'shm', '/dev/shm', [...secure, 'mode=1777', 'size=67108864']),
    ],
    files: [
      {
        path: '/etc/hosts',
        contentBase64: Buffer.from('127.0.0.1\tlocalhost\n').toString('base64'),
        mode: 0o644,
        readonly: false,
      },
    ],
    devices: [],
    deviceRules: [{ allow: false, type: 'a', major: -1, minor: -1, access: 'rwm' }],
    maskedPaths: [
      '/proc/asound',
      '/proc/acpi',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/timer_stats',
      '/proc/sched_debug',
      '/proc/scsi',
      '/sys/firmware',
    ],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    cgroup: {},
    sysctls: {},
    privileged: false,
    ...changes,
  };
}

export function podSpec(id: string, changes: Partial<GuestPodSpec> = {}): GuestPodSpec {
  return {
    id,
    hostname: 'pod-host',
    domainname: '',
    interfaces: [],
    routes: [],
    sysctls: {},
    dnsForward: [],
    ...changes,
  };
}

/** A layer with a busybox and users, and fresh writable disks, in a directory of the test's own. */
export class TestImages {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'guest-images-'));
  readonly layer = path.join(this.directory, 'layer.sqsh');
  private disks = 0;

  /** `programs` are compiled from guest/test/programs into the layer's /bin. */
  constructor(programs: string[] = []) {
    const root = path.join(this.directory, 'root');
    for (const name of ['bin', 'etc', 'tmp', 'home/bob'])
      fs.mkdirSync(path.join(root, name), { recursive: true });
    fs.copyFileSync('/bin/busybox', path.join(root, 'bin/busybox'));
    fs.chmodSync(path.join(root, 'bin/busybox'), 0o755);
    for (const name of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
      if (name !== 'busybox') fs.symlinkSync('busybox', path.join(root, 'bin', name));
    const file = (name: string, text: string, mode = 0o644): void => {
      fs.writeFileSync(path.join(root, name), text);
      fs.chmodSync(path.join(root, name), mode);
    };
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n');
    file('etc/group', 'root:x:0:\nbob:x:1000:\nextra:x:2000:bob\n');
    file('bin/noshebang', 'nothing', 0o755);
    file('bin/notexec', 'nothing');
    for (const name of programs) {
      const source = path.join(projectDir, 'guest/test/programs', `${name}.c`);
      execFileSync('gcc', ['-O1', '-static', '-o', path.join(root, 'bin', name), source]);
    }
    execFileSync(
      'mksquashfs',
      [root, this.layer, '-comp', 'lz4', '-all-root', '-no-progress', '-quiet', '-noappend'],
      {
        stdio: 'ignore',
      },
    );
  }

  writable(size = '1G'): string {
    const file = path.join(this.directory, `disk${this.disks++}.ext4`);
    const features = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,assume_storage_prezeroed=1';
    execFileSync(
      'mke2fs',
      ['-q', '-t', 'ext4', '-F', '-m', '0', '-O', '^resize_inode', '-E', features, file, size],
      {
        stdio: 'ignore',
      },
    );
    return file;
  }

  remove(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}
