// What users of the host other than root come by in the daemon's directories: docs/storage-layout.md has the table. Also in
// those that an earlier version made wider.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

jest.setTimeout(180_000);

// What the daemon's environment may hold; none of its helpers needs it.
process.env['REGISTRY_TOKEN'] = 'not-for-helpers';

const engine = useBusyboxDaemon('users', [], { ownTemplate: true });
const { docker } = engine;
const nobodyOfNote = 4711;

/** Runs as this user, in this group only; setpriv itself keeps root's capabilities until it has run a program. */
function as(uid: number, gid: number, ...command: string[]): { status: number | null; output: string } {
  const options = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  const isPlain = uid === nobodyOfNote; // only a set-user-ID file may help it
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [...(isPlain ? options.slice(0, 3) : options), '--', ...command],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  return { status, output: stdout + stderr };
}

/** Everything below the daemon's directories, as far as root sees it, that this user can read, write, list, pass or run. */
function reached(uid: number, gid: number): string[] {
  const roots = ['data', 'run'].map((name) => join(engine.dir, name));
  const all = execFileSync('find', [...roots, '-print0'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const list = join(engine.dir, 'paths');
  writeFileSync(list, all, { mode: 0o644 });
  // A link leads to where the user may get anyway.
  const script =
    'while IFS= read -r -d "" p; do [ -h "$p" ] && continue; m=; ' +
    'for t in r w x; do [ -$t "$p" ] && m=$m$t; done; [ -z "$m" ] || echo "$m ${p#"$1"/}"; done <"$2"';
  chmodSync(list, 0o644);
  const { output } = as(uid, gid, 'bash', '--norc', '-c', script, 'reached', engine.dir, list);
  return output.split('\n').filter((line) => line !== '');
}

/** Ids in paths by one word each. */
function nameless(lines: readonly string[]): string[] {
  const words = lines.map((line) =>
    line
      .replace(/[0-9a-f]{64}/g, 'ID')
      .replace(/templates\/[0-9a-f]{24}/, 'templates/KEY')
      .replace(/vms\/[0-9a-f]{12}/, 'vms/VM'),
  );
  return [...new Set(words)].sort();
}

function vmUser(): { uid: number; gid: number } {
  const status = readFileSync(`/proc/${engine.daemon.qemuPids()[0]}/status`, 'utf8');
  const id = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { uid: id('Uid'), gid: id('Gid') };
}

/** A container that has a volume with a set-user-ID program of root's, a log, an environment, and a disk. */
function fillDirectories(): void {
  docker('volume', 'create', 'shared');
  docker(
    'run',
    '--detach',
    '--name',
    'writer',
    '--env',
    'SECRET=1',
    '--volume',
    'shared:/v',
    'busybox',
    'sh',
    '-c',
    'cp /bin/busybox /v/id && chmod 4755 /v/id && echo ready && sleep 1d',
  );
  docker('exec', 'writer', 'sh', '-c', 'until [ -u /v/id ]; do sleep 0.1; done');
}

const ofEverybody = ['r run/netns', 'x run'];
const ofVms = [
  ...ofEverybody,
  'r data/layers/ID.squashfs',
  'r data/templates/KEY/initramfs',
  'r data/templates/KEY/kernel-head',
  'r data/templates/KEY/memory',
  'r data/templates/KEY/vmlinuz',
  'r data/templates/KEY/warm-up.squashfs',
  'rw data/disks/ID.ext4',
  'x data',
  'x data/cache-disks',
  'x data/disks',
  'x data/layers',
  'x data/templates',
  'x data/templates/KEY',
  'x data/volume-disks',
  'x run/vms',
  'x run/vms/VM',
].sort();

it('lets nobody but root and VMs in, and VMs only to what they are made of', () => {
  fillDirectories();
  expect(nameless(reached(nobodyOfNote, nobodyOfNote))).toEqual(ofEverybody);
  const setuid = join(engine.dir, 'data/volumes/shared/_data/id');
  expect(statSync(setuid).mode & 0o7777).toBe(0o4755);
  expect(as(nobodyOfNote, nobodyOfNote, 'sh', '-c', `${setuid} -u`).output).toContain('Permission denied');
  const { uid, gid } = vmUser();
  expect(nameless(reached(uid, gid))).toEqual(ofVms);
});

interface Helper {
  name: string;
  uid: number;
  environment: string;
  noNewPrivileges: boolean;
}

/** What the daemon has started: each has its directory in its command line, or a parent that has. */
function helpers(): Helper[] {
  const ours = new Set<number>([engine.daemon.process.pid]);
  const found: Helper[] = [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const pid of pids.map(Number).sort((a, b) => a - b)) {
    try {
      const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
      const status = read('status');
      const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
      if (pid === engine.daemon.process.pid) continue;
      if (!read('cmdline').includes(`${engine.dir}/run/`) && !ours.has(Number(field('PPid')))) continue;
      ours.add(pid);
      found.push({
        name: field('Name'),
        uid: Number(field('Uid')),
        environment: read('environ'),
        noNewPrivileges: field('NoNewPrivs') === '1',
      });
    } catch {
      // it has ended
    }
  }
  return found;
}

it('gives its helpers users of their own, which no other engine has, and nothing of its environment', () => {
  const running = helpers();
  const names = new Set(running.map(({ name }) => name));
  expect([...names].sort()).toEqual(
    expect.arrayContaining(['fs-server', 'netd-host', 'node', 'qemu-system-x86']),
  );
  for (const { environment } of running) expect(environment).not.toContain('not-for-helpers');
  const base = Number(readFileSync(join(engine.dir, 'data', 'vm-uids'), 'utf8'));
  expect(base % 65_536).toBe(1_650_000_000 % 65_536);
  expect(running.find(({ name }) => name === 'node')).toMatchObject({
    uid: base + 65_535,
    noNewPrivileges: true,
  });
  const { uid, gid } = vmUser();
  expect(gid).toBe(base);
  expect(uid).toBeGreaterThan(base);
  expect(uid).toBeLessThan(base + 65_535);
});

it('mends directories that an earlier version made, and what lies open in them', async () => {
  const data = join(engine.dir, 'data');
  for (const name of ['', 'volumes', 'volumes/shared', 'layers', 'disks', 'templates', 'containers']) {
    chmodSync(join(data, name), 0o755);
  }
  await engine.daemon.kill9();
  for (const name of [
    'caisson.db',
    'caisson.db-wal',
    'events.ndjson',
    'daemon.json',
    'engine-id',
    'vm-uids',
  ]) {
    chmodSync(join(data, name), 0o644);
  }
  expect(reached(nobodyOfNote, nobodyOfNote)).toContain('rx data/volumes/shared/_data/id');
  await engine.daemon.start();
  expect(nameless(reached(nobodyOfNote, nobodyOfNote))).toEqual(ofEverybody);
  const { uid, gid } = vmUser();
  expect(nameless(reached(uid, gid))).toEqual(ofVms);
  docker('restart', '--time', '0', 'writer');
  expect(nameless(reached(nobodyOfNote, nobodyOfNote))).toEqual(ofEverybody);
});

it('makes what others are to use with the modes that dockerd gives it', () => {
  const source = join(engine.dir, 'made/for/a-bind');
  docker('run', '--rm', '--volume', `${source}:/b`, 'busybox', 'true');
  for (const path of ['made', 'made/for', 'made/for/a-bind']) {
    expect(statSync(join(engine.dir, path)).mode & 0o7777).toBe(0o755);
  }
  expect(
    docker('run', '--rm', '--volume', 'new:/v', '--user', '1', 'busybox', 'stat', '-c', '%a', '/v'),
  ).toBe('755');
});
