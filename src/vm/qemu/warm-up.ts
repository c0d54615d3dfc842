// Under emulation the first container in a VM is slow: QEMU has translated none of the guest's code yet, and a clone
// starts without translations. So an idle VM runs one container of our own before it goes into the pool: same disks,
// mounts, namespaces and network as Docker's default. Nothing of a user ever ran in it, and nothing stays behind.

import { chmod, copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../../host/run-tool';
import type { Agent } from '../contract/agent';
import type { GuestContainerSpec } from '../contract/protocol';
import type { QemuVm } from './qemu-vm';

export interface WarmUpDisks {
  /** squashfs with one small program. */
  layerPath: string;
  /** Empty ext4, copied for each VM. */
  writablePath: string;
}

const program = '/bin/warm-up';
const id = 'warm-up';
/** Of each step, by the VM's own time: the container of a user may take as long. */
const timeoutMs = 60_000;

export function warmUpDisks(templateDir: string): WarmUpDisks {
  return {
    layerPath: join(templateDir, 'warm-up.squashfs'),
    writablePath: join(templateDir, 'warm-up.ext4'),
  };
}

/** Makes both disks beside the template. `executable` is a static program that ends at once. */
export async function makeWarmUpDisks(templateDir: string, executable: string): Promise<void> {
  const { layerPath, writablePath } = warmUpDisks(templateDir);
  const root = await mkdtemp(join(templateDir, 'root-'));
  try {
    for (const directory of ['bin', 'proc', 'sys', 'dev', 'etc', 'tmp']) {
      await mkdir(join(root, directory));
      await chmod(join(root, directory), 0o755);
    }
    await copyFile(executable, join(root, program));
    await chmod(join(root, program), 0o755);
    await runTool('mksquashfs', [
      root,
      `${layerPath}.new`,
      '-comp',
      'lz4',
      '-noappend',
      '-all-root',
      '-quiet',
      '-no-progress',
    ]);
    await chmod(`${layerPath}.new`, 0o644);
    await rename(`${layerPath}.new`, layerPath);
    await rm(`${writablePath}.new`, { force: true });
    await runTool('mke2fs', ['-q', '-t', 'ext4', '-F', '-m', '0', `${writablePath}.new`, '4M']);
    await rename(`${writablePath}.new`, writablePath);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Runs the container and clears up after it. Rejects when anything fails: such a VM is better not used. */
export async function warmUp(vm: QemuVm, disks: WarmUpDisks, copyPath: string): Promise<void> {
  await copyFile(disks.writablePath, copyPath);
  const { agent } = vm;
  const ids = [`${id}-layer`, `${id}-writable`];
  const [layer = 0, writable = 0] = await vm.plugDisks([
    { id: ids[0] ?? '', hostPath: disks.layerPath, format: 'raw', readOnly: true, durable: false },
    { id: ids[1] ?? '', hostPath: copyPath, format: 'raw', readOnly: false, durable: false },
  ]);
  await agent.request(
    'pod.setup',
    {
      pod: {
        id,
        hostname: id,
        domainname: '',
        // The tap is joined to nothing: the address (RFC 5737) is never seen anywhere.
        interfaces: [
          { nic: 0, name: 'eth0', mac: '02:42:c0:00:02:01', addresses: ['192.0.2.1/24'], mtu: 1500 },
        ],
        routes: [{ destination: '0.0.0.0/0', gateway: '192.0.2.254', interface: 'eth0' }],
        sysctls: {},
        dnsForward: [],
      },
    },
    { timeoutMs },
  );
  await runOnce(agent, layer, writable);
  await agent.request('container.remove', { id, sync: false }, { timeoutMs });
  await agent.request('pod.teardown', {}, { timeoutMs });
  await vm.unplugDisks(ids);
  await rm(copyPath, { force: true });
}

async function runOnce(agent: Agent, layer: number, writable: number): Promise<void> {
  const exited = new Promise<void>((resolve) => {
    const stop = agent.onEvent((event, ack) => {
      ack();
      if (event.event !== 'exit' || event.id !== id) return;
      stop();
      resolve();
    });
  });
  const streams = { stdout: agent.allocateChannel(), stderr: agent.allocateChannel() };
  const ended = Object.values(streams).map(
    (channel) =>
      new Promise<void>((resolve, reject) => {
        const output = agent.openOutput(channel);
        output.consume({
          onChunk: ({ data, offset }) => output.ack(offset + data.length),
          onEnd: resolve,
          onLost: reject,
        });
      }),
  );
  const over = Promise.all([exited, ...ended]);
  // A start that fails is the reason, and with the VM's end the streams are lost as well.
  over.catch(() => undefined);
  await agent.request(
    'container.start',
    { container: containerSpec(layer, writable, streams) },
    { timeoutMs },
  );
  await over;
}

function containerSpec(
  layer: number,
  writable: number,
  streams: { stdout: number; stderr: number },
): GuestContainerSpec {
  const locked = ['nosuid', 'noexec', 'nodev'];
  return {
    id,
    rootfs: { layers: [{ lun: layer }], writable: { lun: writable }, readonly: false },
    process: {
      args: [program],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      user: '',
      additionalGroups: [],
      terminal: false,
      capabilities: ['CAP_CHOWN', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'],
      noNewPrivileges: false,
      rlimits: [],
      oomScoreAdj: 0,
      seccomp: 'default',
      ...streams,
    },
    init: false,
    pidNamespace: 'container',
    ipcNamespace: 'container',
    utsNamespace: 'pod',
    networkNamespace: 'pod',
    cgroupNamespace: 'container',
    mounts: [
      { type: 'proc', source: 'proc', target: '/proc', options: locked },
      {
        type: 'tmpfs',
        source: 'tmpfs',
        target: '/dev',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        type: 'devpts',
        source: 'devpts',
        target: '/dev/pts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { type: 'sysfs', source: 'sysfs', target: '/sys', options: [...locked, 'ro'] },
      { type: 'cgroup2', source: 'cgroup', target: '/sys/fs/cgroup', options: [...locked, 'ro'] },
      { type: 'mqueue', source: 'mqueue', target: '/dev/mqueue', options: locked },
      { type: 'tmpfs', source: 'shm', target: '/dev/shm', options: [...locked, 'mode=1777', 'size=65536k'] },
    ],
    files: ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'].map((path) => ({
      path,
      contentBase64: '',
      mode: 0o644,
      readonly: false,
    })),
    devices: [],
    deviceRules: [
      { allow: false, type: 'a', major: -1, minor: -1, access: 'rwm' },
      { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
    ],
    maskedPaths: ['/proc/kcore', '/proc/keys', '/sys/firmware'],
    readonlyPaths: ['/proc/bus', '/proc/irq', '/proc/sys'],
    cgroup: { 'memory.max': '67108864', 'pids.max': '100' },
    sysctls: {},
    privileged: false,
  };
}
