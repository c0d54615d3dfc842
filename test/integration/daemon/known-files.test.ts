// More files than the guest is to know at a time: its kernel would remember them all, each a descriptor of the file server.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

/** Of which the guest is to know a quarter; QEMU wants 4,096. */
const engine = useBusyboxDaemon('known-files', [], { maxDescriptors: 4400 });
const { docker } = engine;
const [directories, filesInEach] = [10, 300];

test('a tree of any number of files is walked, and read', () => {
  for (let i = 0; i < directories; i++) {
    const directory = join(engine.dir, 'many', String(i));
    mkdirSync(directory, { recursive: true });
    for (let j = 0; j < filesInEach; j++) writeFileSync(join(directory, String(j)), 'x');
  }
  docker(
    'run',
    '-d',
    '--name',
    'walker',
    '-v',
    `${join(engine.dir, 'many')}:/many`,
    'busybox',
    'sleep',
    '100000',
  );
  const inside = (script: string): string => docker('exec', 'walker', 'sh', '-c', script);
  const fileServers = engine.daemon.fileServerPids();
  expect(fileServers).toHaveLength(1);
  expect(Number(inside('find /many -type f | wc -l'))).toBe(directories * filesInEach);
  // with their data, which the guest caches
  expect(Number(inside('for d in /many/*; do cat $d/*; done | wc -c'))).toBe(directories * filesInEach);
  expect(readdirSync(`/proc/${String(fileServers[0])}/fd`).length).toBeLessThan(2500);
}, 600_000);
