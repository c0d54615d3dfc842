// `npm run up` and `npm run down` with directories of their own: the command on the PATH, and `caisson/hello`, which any daemon makes.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { projectDir } from '../../support/process/project-dir';
import { makeScratchDir } from '../../support/process/scratch-dir';

jest.setTimeout(300_000);

let dir = '';
let namespace: NetworkNamespace;

beforeAll(async () => {
  dir = makeScratchDir('up');
  mkdirSync(join(dir, 'bin'));
  namespace = await NetworkNamespace.create();
});

afterAll(async () => {
  script('down');
  await namespace.delete();
  rmSync(dir, { recursive: true, force: true });
});

/** stdout of a program that must succeed. */
function run(...command: string[]): string {
  const { status, stdout, stderr } = spawnSync('env', command, {
    encoding: 'utf8',
    cwd: projectDir,
    env: {
      ...process.env,
      PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? ''}`,
      DOCKER_CONFIG: join(dir, 'docker'),
      CAISSON_BIN_DIR: join(dir, 'bin'),
      CAISSON_DATA_ROOT: join(dir, 'data'),
      CAISSON_RUN_DIR: join(dir, 'run'),
      CAISSON_LOG: join(dir, 'log'),
      CAISSON_ARGS: '--accel tcg --pool-size 0',
    },
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  return stdout;
}

const script = (name: 'up' | 'down'): string =>
  run(...namespace.wrap(['bash', join(projectDir, 'scripts', `${name}.sh`)]));
const docker = (...command: string[]): string => run('docker', '--context', 'caisson', ...command);

test('after up the command is on the PATH, and the first container runs', () => {
  expect(script('up')).toContain('docker --context caisson run --rm caisson/hello');
  expect(readlinkSync(join(dir, 'bin', 'caisson'))).toBe(join(projectDir, 'bin', 'caisson'));
  expect(run('caisson', '--version')).toMatch(/^\d/);
  expect(docker('run', '--rm', 'caisson/hello')).toContain('virtual machine');
});

test('caisson/hello is made when it is pulled, as by a daemon that up has not started', () => {
  docker('rmi', 'caisson/hello');
  expect(docker('run', '--rm', 'caisson/hello')).toContain('virtual machine');
  expect(docker('pull', 'caisson/hello')).toContain('Making caisson/hello on this machine');
});

test('down leaves no command behind, and nothing of somebody else is taken', () => {
  script('down');
  expect(existsSync(join(dir, 'bin', 'caisson'))).toBe(false);
});
