import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkDataRoot,
  checkGuest,
  checkHelpers,
  checkHosts,
  checkKvmDevice,
  checkTemplate,
} from '../../../src/cli/doctor-checks';
import type { Config } from '../../../src/config';

let dir: string;
let config: Config;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-doctor-test-'));
  // The checks look at no other member.
  config = {
    dataRoot: dir,
    runDir: dir,
    guestDir: dir,
    nativeDir: join(dir, 'native'),
    hosts: [`unix://${dir}/s`],
  } as unknown as Config;
  mkdirSync(config.nativeDir);
});
afterEach(() => rmSync(dir, { recursive: true }));

function program(name: string): void {
  writeFileSync(join(config.nativeDir, name), '');
  chmodSync(join(config.nativeDir, name), 0o755);
}

const helpers = [
  'vm-launch',
  'readonly-memory.so',
  'fs-server',
  'share-open',
  'netd-host',
  'netd-ports',
  'datagram-send',
  'tsc-rate',
  'stale-code.so',
  'forkable.so',
];

it('names each helper that is missing, and what it is for', () => {
  helpers.filter((name) => name !== 'netd-host').forEach(program);
  expect(checkHelpers(config)).toMatchObject([
    {
      level: 'fail',
      detail: expect.stringMatching(/netd-host: networks and published ports/),
      advice: 'npm run guest',
    },
  ]);
  program('netd-host');
  expect(checkHelpers(config)).toMatchObject([{ level: 'ok' }]);
});

it('only warns of what the daemon can do without', () => {
  helpers.filter((name) => name !== 'tsc-rate').forEach(program);
  expect(checkHelpers(config)).toMatchObject([{ level: 'warn' }]);
});

it('misses the parts of the guest', () => {
  writeFileSync(join(dir, 'vmlinuz'), '');
  expect(checkGuest(config)).toMatchObject([
    { level: 'fail', detail: expect.stringMatching(/^missing initramfs.cpio.gz, manifest.json/) },
  ]);
});

it('tells of a template that is not there, and of one that was changed', async () => {
  expect(await checkTemplate(config)).toMatchObject([
    { level: 'ok', detail: expect.stringMatching(/^none yet/) },
  ]);
  const template = join(dir, 'templates', 'key');
  mkdirSync(template, { recursive: true });
  writeFileSync(join(template, 'memory'), 'changed');
  writeFileSync(join(template, 'template.json'), JSON.stringify({ agentBuild: 'b', seal: { size: 1 } }));
  expect(await checkTemplate(config)).toMatchObject([
    { level: 'warn', detail: expect.stringMatching(/^changed/) },
  ]);
});

it('looks at data root and addresses', async () => {
  expect((await checkDataRoot(config)).map(({ level }) => level)).not.toContain('fail');
  expect(await checkHosts(config)).toMatchObject([
    { level: 'ok', detail: expect.stringMatching(/nobody there/) },
  ]);
});

(process.getuid?.() === 0 ? it : it.skip).each([
  [0o666, 0, 'ok', undefined],
  [0o660, 107, 'ok', undefined],
  [0o600, 107, 'warn', 'mode 0600, owner 0, group 107'],
  [0o660, 0, 'warn', 'mode 0660, owner 0, group 0'],
])('a /dev/kvm of mode %o and group %i: %s', (mode, group, level, permissions) => {
  const device = join(dir, 'kvm');
  writeFileSync(device, '');
  chownSync(device, 0, group);
  chmodSync(device, mode);
  const findings = checkKvmDevice(device);
  expect(findings).toMatchObject([{ level }]);
  if (permissions === undefined) return;
  expect(findings[0]?.detail).toContain(
    `(${permissions}): root may open it, the users that VMs run as may not`,
  );
  expect(findings[0]?.advice).toContain(`chgrp kvm ${device} && chmod 0660 ${device}`);
});
