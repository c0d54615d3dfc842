import { needsOptionRoms } from '../../../../src/vm/qemu/accelerator';
import {
  kernelCommandLine,
  qemuArguments,
  type MachineSpec,
  type VmLayout,
} from '../../../../src/vm/qemu/command-line';

const machine: MachineSpec = {
  accelerator: 'tcg',
  memoryBytes: 512 * 1024 * 1024,
  cpus: 2,
  kernelPath: '/t/vmlinuz',
  initramfsPath: '/t/initramfs',
  tscKhz: 2_600_000,
  nicCount: 8,
  randomAddresses: false,
};
const layout: VmLayout = { id: 'abc', memory: { kind: 'private' }, tapDescriptors: [] };
const clone: VmLayout['memory'] = { kind: 'clone', path: '/t/memory', kernelHeadPath: '/t/head' };

/** Values of an option, in order. */
function values(args: readonly string[], option: string): string[] {
  return args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));
}

const devices = (args: readonly string[]) => values(args, '-device');

test('the guest knows the rate of the counter under emulation only', () => {
  expect(kernelCommandLine(machine)).toMatch(/ tsc_early_khz=2600000 tsc=reliable( |$)/);
  expect(kernelCommandLine({ ...machine, tscKhz: undefined })).not.toContain('tsc');
});

test('programs have fixed addresses where random ones are translated anew each time', () => {
  expect(kernelCommandLine(machine)).toContain(' norandmaps');
  expect(kernelCommandLine({ ...machine, randomAddresses: true })).not.toContain('norandmaps');
});

test('the kernel is started by qboot, or by option ROMs where that starts none', () => {
  expect(values(qemuArguments(machine, layout), '-M')).toEqual([
    'microvm,x-option-roms=off,memory-backend=mem',
  ]);
  const other = qemuArguments({ ...machine, optionRoms: true }, layout);
  expect(values(other, '-M')).toEqual(['microvm,memory-backend=mem']);
  expect(needsOptionRoms('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)')).toBe(false);
  expect(needsOptionRoms('QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)')).toBe(true);
  expect(needsOptionRoms('')).toBe(false);
});

test('QEMU is locked up', () => {
  const args = qemuArguments(machine, layout);
  expect(values(args, '-sandbox')).toEqual([
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
  ]);
  expect(args).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config']));
});

test('a panic or power-off leaves QEMU there to be asked', () => {
  expect(values(qemuArguments(machine, layout), '-action')).toEqual(['reboot=shutdown,shutdown=pause']);
});

test('sockets are inherited: no path of the run directory', () => {
  const args = qemuArguments(machine, layout);
  const sockets = values(args, '-chardev').filter((value) => value.startsWith('socket'));
  expect(sockets).toHaveLength(3);
  for (const socket of sockets) expect(socket).toMatch(/,fd=\d+,server=on,wait=off$/);
});

test('the bulk disk is a file that is inherited, without a lock or flushes', () => {
  const args = qemuArguments(machine, layout);
  expect(values(args, '-add-fd')).toEqual(['fd=7,set=1']);
  expect(values(args, '-blockdev')).toEqual([
    'driver=file,node-name=bulk,filename=/dev/fdset/1,locking=off,aio=threads,cache.direct=off,cache.no-flush=on',
  ]);
  expect(devices(args)).toContain('virtio-blk-device,drive=bulk');
});

test('the console is bounded', () => {
  expect(values(qemuArguments(machine, layout), '-chardev')).toContain('ringbuf,id=console,size=65536');
});

test('each NIC has its tap, or leads nowhere', () => {
  const joined = qemuArguments(machine, { ...layout, tapDescriptors: [10, 11, 12, 13, 14, 15, 16, 17] });
  expect(values(joined, '-netdev')[7]).toBe('tap,id=net7,fd=17,vhost=off');
  const apart = qemuArguments(machine, layout);
  expect(values(apart, '-netdev')).toHaveLength(8);
  expect(values(apart, '-netdev').every((value) => value.startsWith('hubport'))).toBe(true);
  expect(devices(apart)).toEqual(devices(joined));
});

test('template and clone have the same machine and devices', () => {
  const template = qemuArguments(machine, { ...layout, memory: { kind: 'template', path: '/t/memory' } });
  const cloned = qemuArguments(machine, { ...layout, memory: clone });
  for (const option of [
    '-M',
    '-cpu',
    '-smp',
    '-m',
    '-accel',
    '-device',
    '-blockdev',
    '-chardev',
    '-netdev',
    '-mon',
  ]) {
    expect(values(cloned, option)).toEqual(values(template, option));
  }
  expect(values(template, '-object')[0]).toMatch(/size=512M,share=on,mem-path=\/t\/memory$/);
  expect(values(cloned, '-object')[0]).toMatch(/size=512M,share=off,mem-path=\/t\/memory$/);
});

test('a clone waits for its state, and carries no kernel about', () => {
  const args = qemuArguments(machine, { ...layout, memory: clone });
  expect(values(args, '-incoming')).toEqual(['defer']);
  expect(values(args, '-kernel')).toEqual(['/t/head']);
  expect(args).not.toContain('-initrd');
  expect(qemuArguments(machine, layout)).not.toContain('-incoming');
});

test('a guest reports the pages that it has freed, unless it counts on what they hold', () => {
  expect(devices(qemuArguments(machine, layout))).toContain(
    'virtio-balloon-device,free-page-reporting=on,page-poison=off',
  );
});

test.each([
  ['tcg', 'max,-erms,-fsrm'],
  ['kvm', 'host,-vmx,-svm'],
] as const)('%s has CPU model %s', (accelerator, cpu) => {
  expect(values(qemuArguments({ ...machine, accelerator }, layout), '-cpu')).toEqual([cpu]);
});
