import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forkVm, type LaunchSettings } from '../../../../src/vm/qemu/launch';

let directory: string;
let settings: LaunchSettings;
const machine = { memoryMib: 512, cpus: 1, nicCount: 0, accelerator: 'tcg' } as never;

/** Instead of the one that makes VMs. */
function launcher(script: string): void {
  const path = join(settings.nativeDir, 'vm-launch');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'launch-'));
  settings = {
    nativeDir: directory,
    vmsDir: join(directory, 'vms'),
    qemuBinary: '/bin/false',
  } as LaunchSettings;
  mkdirSync(settings.vmsDir);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a seed that does not answer, and keeps what it was sent, holds nobody up', async () => {
  const pidFile = join(directory, 'pid');
  launcher(
    `exec 3>&2; sleep 1000 >/dev/null & echo $! >${pidFile}; echo the seed has no answer >&2; exit 125`,
  );
  try {
    const forked = forkVm(settings, { id: 'child', slot: 0, machine, seedSocketPath: '/seed' });
    await expect(forked).rejects.toThrow('QEMU ended with 125: the seed has no answer');
    expect(readdirSync(settings.vmsDir)).toEqual([]);
  } finally {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  }
});
