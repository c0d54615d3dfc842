// QEMU's command line for a VM: a pure function of a description. Template and clones must describe the same devices,
// so both come from here and differ only in how the memory is backed.

/** Bus and device names that QMP commands refer to. */
export const scsiController = 'scsi0';
export const agentSocketName = 'agent.sock';
export const qmpSocketName = 'qmp.sock';
export const fuseSocketName = 'fuse.sock';
/** Inherited descriptors: listening sockets, the template's saved state, taps from the last one on. */
export const qmpDescriptor = 4;
export const agentDescriptor = 5;
export const fuseDescriptor = 6;
/** The bulk disk's file, for reading and writing. */
export const bulkDescriptor = 7;
/** Of a seed: the listening socket for requests to fork. docs/adr/0022-forked-clones.md */
export const seedDescriptor = 8;
export const seedSocketName = 'seed.sock';
export const stateDescriptor = 9;
export const firstTapDescriptor = 10;
/** Ring buffer of the guest's console, read over QMP: a guest that floods it takes no disk. */
export const consoleChardev = 'console';
export const consoleBytes = 65_536;

export interface MachineSpec {
  accelerator: 'kvm' | 'tcg';
  memoryBytes: number;
  cpus: number;
  kernelPath: string;
  initramfsPath: string;
  /** Host TSC in kHz: without it a guest under emulation may hang in its own calibration. Undefined with KVM. */
  tscKhz: number | undefined;
  nicCount: number;
  /** Address space layout randomization in the guest. docs/adr/0016-fixed-addresses-in-emulated-guests.md */
  randomAddresses: boolean;
  /** Starts the kernel by SeaBIOS and QEMU's option ROM instead of by qboot, which is faster but starts no guest in some QEMUs. */
  optionRoms?: boolean;
}

export type MemoryBacking =
  /** Its own memory, not shared with any other VM. */
  | { kind: 'private' }
  /** The template itself: writes go to the file. */
  | { kind: 'template'; path: string }
  /**
   * A clone: the template's file, copy on write. The guest is past its boot: QEMU would keep kernel and initramfs in
   * its memory for nothing, so it gets the head of a kernel, which leads to the same devices.
   */
  | { kind: 'clone'; path: string; kernelHeadPath: string }
  /** From a checkpoint: memory of its own, which arrives with the saved state. */
  | { kind: 'restored'; kernelHeadPath: string };

export interface VmLayout {
  /** Id of the VM, by which its process is found. */
  id: string;
  memory: MemoryBacking;
  /** Descriptor of each NIC's tap, as the launcher hands them over; empty: the NICs are there, joined to nothing. */
  tapDescriptors: readonly number[];
}

/** MAC that the template's NICs have; the agent gives each NIC its own before its tap joins a bridge. */
function templateMac(index: number): string {
  return `02:ca:15:50:00:${index.toString(16).padStart(2, '0')}`;
}

/** QEMU's `-name`. */
export function processName(vmId: string): string {
  return `caisson-${vmId}`;
}

/** Kernel command line. */
export function kernelCommandLine(spec: MachineSpec): string {
  const words = ['console=ttyS0', 'quiet', 'reboot=t', 'panic=-1'];
  if (spec.tscKhz !== undefined) words.push(`tsc_early_khz=${spec.tscKhz}`, 'tsc=reliable');
  if (!spec.randomAddresses) words.push('norandmaps');
  return words.join(' ');
}

/** Arguments after the program's name. */
export function qemuArguments(spec: MachineSpec, layout: VmLayout): string[] {
  const socket = (id: string, descriptor: number): string =>
    `socket,id=${id},fd=${descriptor},server=on,wait=off`;
  const { memory } = layout;
  const memoryMiB = Math.floor(spec.memoryBytes / 1024 / 1024);
  const args = [
    '-nodefaults',
    '-no-user-config',
    // A guest that panics or powers off is kept until its console was read; then it is killed.
    '-action',
    'reboot=shutdown,shutdown=pause',
    '-display',
    'none',
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-name',
    processName(layout.id),
    '-accel',
    spec.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi,tb-size=64',
    '-cpu',
    cpuModel(spec.accelerator),
    '-smp',
    // Emulated CPUs share no cache: what is woken stays where it was. docs/adr/0018-pump-follows.md
    spec.accelerator === 'kvm' ? String(spec.cpus) : `${spec.cpus},sockets=${spec.cpus}`,
    '-m',
    `${memoryMiB}M`,
    '-M',
    `microvm${spec.optionRoms === true ? '' : ',x-option-roms=off'},memory-backend=mem`,
    '-object',
    memoryObject(memory, memoryMiB),
    ...('kernelHeadPath' in memory
      ? ['-kernel', memory.kernelHeadPath]
      : ['-kernel', spec.kernelPath, '-initrd', spec.initramfsPath, '-append', kernelCommandLine(spec)]),
    '-chardev',
    `ringbuf,id=${consoleChardev},size=${consoleBytes}`,
    '-serial',
    `chardev:${consoleChardev}`,
    '-chardev',
    socket('qmp', qmpDescriptor),
    '-mon',
    'chardev=qmp,mode=control',
    '-device',
    'virtio-serial-device,max_ports=4',
    '-chardev',
    socket('agent', agentDescriptor),
    '-device',
    'virtserialport,chardev=agent,name=caisson.agent.0',
    '-chardev',
    socket('fuse', fuseDescriptor),
    '-device',
    'virtserialport,chardev=fuse,name=caisson.fuse.0',
    // Large streams (docs/adr/0015-bulk-disk.md). By its descriptor: no path of the run directory.
    '-add-fd',
    `fd=${bulkDescriptor},set=1`,
    '-blockdev',
    'driver=file,node-name=bulk,filename=/dev/fdset/1,locking=off,aio=threads,cache.direct=off,cache.no-flush=on',
    '-device',
    'virtio-blk-device,drive=bulk',
    '-object',
    'rng-random,id=rng,filename=/dev/urandom',
    '-device',
    'virtio-rng-device,rng=rng',
    '-device',
    `virtio-scsi-device,id=${scsiController}`,
    '-device',
    'virtio-balloon-device,free-page-reporting=on,page-poison=off',
  ];
  for (let index = 0; index < spec.nicCount; index += 1) {
    const descriptor = layout.tapDescriptors[index];
    if (descriptor !== undefined) args.push('-netdev', `tap,id=net${index},fd=${descriptor},vhost=off`);
    else args.push('-netdev', `hubport,id=net${index},hubid=${index}`);
    args.push('-device', `virtio-net-device,id=nic${index},netdev=net${index},mac=${templateMac(index)}`);
  }
  if ('kernelHeadPath' in memory) args.push('-incoming', 'defer');
  return args;
}

/**
 * With KVM: the host's, but for its virtualization. The part of KVM that serves a guest's own guests has had escapes of its own, and no
 * container of ours is promised a /dev/kvm.
 * Emulated: all that QEMU has but ERMS ("enhanced rep movsb"). With it Linux and the C libraries copy and clear memory by string
 * instructions, of which an emulator makes a step for each byte (docs/adr/0010-copying-in-emulated-guests.md). And but FSRM ("fast short
 * rep movs"), which later QEMUs have: Linux takes it for a kind of ERMS, and with FSRM alone its memmove runs through all memory.
 */
function cpuModel(accelerator: MachineSpec['accelerator']): string {
  return accelerator === 'kvm' ? 'host,-vmx,-svm' : 'max,-erms,-fsrm';
}

function memoryObject(memory: MemoryBacking, memoryMiB: number): string {
  switch (memory.kind) {
    case 'private':
    case 'restored':
      return `memory-backend-ram,id=mem,size=${memoryMiB}M,reserve=off`;
    case 'template':
      return `memory-backend-file,id=mem,size=${memoryMiB}M,share=on,mem-path=${memory.path}`;
    case 'clone':
      return `memory-backend-file,id=mem,size=${memoryMiB}M,share=off,mem-path=${memory.path}`;
  }
}
