// Builds vmlinuz, initramfs.cpio.gz and manifest.json from the unpacked kernel package and the compiled agent.
// Reproducible: fixed owner, times and order. See ../README.md for what is inside and why.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const { values: options } = parseArgs({
  options: Object.fromEntries(
    ['cache', 'agent', 'docker-init', 'build', 'out'].map((name) => [name, { type: 'string' }]),
  ),
});

/** Loaded by the agent at the template's boot, in this order, dependencies first. */
const bootModules = [
  'virtio_mmio',
  'virtio_pci',
  'virtio_console',
  'virtio_scsi',
  'virtio_blk',
  'sd_mod',
  'virtio_net',
  'virtio-rng',
  'squashfs',
  'overlay',
  'fuse',
  'loop',
];

/** Folders of modules a container may ask the kernel for (Docker in Docker, VPNs, file systems). */
const extraFolders = [
  'arch/x86/crypto',
  'crypto',
  'drivers/block',
  'drivers/md',
  'drivers/net',
  'drivers/target',
  'drivers/vhost',
  'fs',
  'lib',
  'net',
];
/** Modules that the agent loads later than at the boot. */
const extraModules = ['virtio_balloon'];
/** Parts of those that need hardware or a host no VM of ours has. */
const extraExcluded =
  /^(drivers\/net\/(ethernet|wireless|phy|mdio|usb|hyperv|can|ieee802154|hippi|fddi|arcnet|wwan|ppp|slip|vmxnet3|xen-netback|fjes)|drivers\/block\/(xen-blkback|drbd|mtip32xx|aoe)|fs\/(ocfs2|gfs2|dlm|ceph|afs|jfs|reiserfs|hfs|hfsplus|ufs|affs|qnx4|minix|befs|efs|hpfs|sysv|coda|orangefs|ubifs|jffs2)|net\/(bluetooth|wireless|mac80211|mac802154|ieee802154|can|nfc|rxrpc|ceph|rds|dccp|tipc|atm|appletalk|ax25|netrom|rose|lapb|x25|batman-adv|hsr|decnet|sctp\/.*probe))(\/|$)/;

const version = fs.readFileSync(path.join(options.cache, 'kernel.version'), 'utf8').trim();
const modulesRoot = path.join(options.cache, 'kernel/lib/modules', version);
const dependencies = new Map(
  fs
    .readFileSync(path.join(modulesRoot, 'modules.dep'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':'))
    .map(([file, needs]) => [file, needs.trim().split(' ').filter(Boolean)]),
);

function moduleFile(name) {
  const found = [...dependencies.keys()].find((file) => path.basename(file) === `${name}.ko`);
  if (found === undefined) throw new Error(`the kernel package has no module ${name}`);
  return found;
}

/** Module files in load order: modules.dep lists the direct need last-loaded first. */
function loadOrder(names) {
  const order = new Set();
  for (const name of names) {
    const file = moduleFile(name);
    for (const need of [...dependencies.get(file)].reverse()) order.add(need);
    order.add(file);
  }
  return [...order];
}

/** newc cpio archive from entries {name, mode, data?}; owner 0:0, time 0. */
function cpio(entries) {
  const parts = [];
  const push = (name, mode, data, inode) => {
    const nameBytes = Buffer.from(`${name}\0`);
    const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, nameBytes.length, 0];
    const header = Buffer.from(
      `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`,
    );
    const padding = (length) => Buffer.alloc((4 - (length % 4)) % 4);
    parts.push(header, nameBytes, padding(header.length + nameBytes.length), data, padding(data.length));
  };
  entries.forEach((entry, index) => push(entry.name, entry.mode, entry.data ?? Buffer.alloc(0), index + 1));
  push('TRAILER!!!', 0, Buffer.alloc(0), 0);
  return Buffer.concat(parts);
}

const directory = (name) => ({ name, mode: 0o040755 });
const file = (name, data, mode = 0o755) => ({ name, mode: 0o100000 | mode, data });
const symlink = (name, target) => ({ name, mode: 0o120777, data: Buffer.from(target) });

/** Users of Debian's base system, so that `top` prints names as a Debian host would. */
const passwd = [
  'root:0',
  'daemon:1',
  'bin:2',
  'sys:3',
  'sync:4',
  'games:5',
  'man:6',
  'lp:7',
  'mail:8',
  'news:9',
  'uucp:10',
  'proxy:13',
  'www-data:33',
  'backup:34',
  'list:38',
  'irc:39',
  '_apt:42',
  'nobody:65534',
]
  .map((entry) => entry.split(':'))
  .map(([name, id]) => `${name}:x:${id}:${id}::/:/bin/sh\n`)
  .join('');

/** Debian's ps and the libraries it needs, started through its own ld.so. */
function psFiles() {
  const needed = execFileSync('ldd', ['/usr/bin/ps'], { encoding: 'utf8' });
  const libraries = [...needed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]);
  return ['/usr/bin/ps', ...libraries];
}

/** A squashfs with what is only needed now and then: modules for modprobe, and ps. Mounted by the agent at /extra. */
function buildExtra() {
  const root = fs.mkdtempSync(path.join(options.cache, 'extra.'));
  try {
    fs.chmodSync(root, 0o755);
    const modules = path.join(root, 'lib/modules', version);
    const wanted = new Set();
    for (const name of dependencies.keys()) {
      const relative = name.replace(/^kernel\//, '');
      if (!extraFolders.some((folder) => relative.startsWith(`${folder}/`)) || extraExcluded.test(relative))
        continue;
      wanted.add(name);
      for (const need of dependencies.get(name)) wanted.add(need);
    }
    for (const name of loadOrder([...bootModules, ...extraModules])) wanted.add(name);
    for (const name of wanted) {
      fs.mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
      fs.copyFileSync(path.join(modulesRoot, name), path.join(modules, name));
    }
    for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
      fs.copyFileSync(path.join(modulesRoot, name), path.join(modules, name));
    execFileSync('depmod', ['-b', root, version], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    fs.mkdirSync(path.join(root, 'ps'));
    for (const source of psFiles()) fs.copyFileSync(source, path.join(root, 'ps', path.basename(source)));
    const image = path.join(options.cache, 'extra.sqsh');
    fs.rmSync(image, { force: true });
    execFileSync(
      'mksquashfs',
      [
        root,
        image,
        '-comp',
        'lz4',
        '-Xhc',
        '-all-root',
        '-all-time',
        '0',
        '-mkfs-time',
        '0',
        '-no-progress',
        '-quiet',
        '-no-xattrs',
      ],
      { env: { ...process.env, SOURCE_DATE_EPOCH: undefined }, stdio: ['ignore', 'ignore', 'inherit'] },
    );
    return fs.readFileSync(image);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

function writeAtomically(target, data) {
  fs.writeFileSync(`${target}.new`, data);
  fs.renameSync(`${target}.new`, target);
}

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const boot = loadOrder(bootModules);
const archive = cpio([
  ...[
    'dev',
    'proc',
    'sys',
    'run',
    'tmp',
    'etc',
    'sbin',
    'boot-modules',
    'extra',
    'root',
    'lib',
    'newroot',
  ].map(directory),
  file('init', fs.readFileSync(options.agent)),
  symlink('sbin/modprobe', '/init'),
  file('sbin/docker-init', fs.readFileSync(options['docker-init'])),
  symlink('lib/modules', '/extra/lib/modules'),
  file('etc/passwd', Buffer.from(passwd), 0o644),
  file('etc/nsswitch.conf', Buffer.from('passwd: files\n'), 0o644),
  ...boot.map((name, index) =>
    file(
      `boot-modules/${String(index).padStart(2, '0')}-${path.basename(name)}`,
      fs.readFileSync(path.join(modulesRoot, name)),
      0o644,
    ),
  ),
  file('extra.sqsh', buildExtra(), 0o644),
]);
const kernel = fs.readFileSync(path.join(options.cache, `kernel/boot/vmlinuz-${version}`));
// Stored, not compressed: under emulation the kernel inflates far slower than QEMU copies.
const initramfs = gzipSync(archive, { level: 0 });
writeAtomically(path.join(options.out, 'vmlinuz'), kernel);
writeAtomically(path.join(options.out, 'initramfs.cpio.gz'), initramfs);
writeAtomically(
  path.join(options.out, 'manifest.json'),
  `${JSON.stringify(
    {
      kernelVersion: version,
      agentBuild: options.build,
      initramfsSha256: sha256(initramfs),
      kernelSha256: sha256(kernel),
    },
    null,
    2,
  )}\n`,
);
