// `npm run up` and `npm run down` with directories of their own: the command on the PATH, and `caisson/hello`, which any daemon makes.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { projectDir } from '../../support/process/project-dir';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { Terminal } from '../../support/process/terminal';

jest.setTimeout(300_000);

const escape = '\u001b';

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

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? ''}`,
  DOCKER_CONFIG: join(dir, 'docker'),
  CAISSON_BIN_DIR: join(dir, 'bin'),
  CAISSON_DATA_ROOT: join(dir, 'data'),
  CAISSON_RUN_DIR: join(dir, 'run'),
  CAISSON_LOG: join(dir, 'log'),
  CAISSON_ARGS: '--accel tcg --pool-size 0',
});

/** stdout of a program that must succeed. */
function run(...command: string[]): string {
  const { status, stdout, stderr } = spawnSync('env', command, {
    encoding: 'utf8',
    cwd: projectDir,
    env: environment(),
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

describe('on a terminal', () => {
  const open = (command: string, env: NodeJS.ProcessEnv = {}): Terminal => {
    const host = `unix://${join(dir, 'run', 'caisson.sock')}`;
    return Terminal.open({ command, env: { ...environment(), DOCKER_HOST: host, ...env }, columns: 110 });
  };

  test('top is a table that lives, takes keys and sizes, and leaves the screen as it was', async () => {
    docker('run', '--detach', '--name', 'watched', 'caisson/hello', 'sleep', '1000');
    const terminal = open('caisson top');
    await terminal.waitFor(/VM \/ CONTAINER +STATE +CPU % +MEMORY +OF +PIDS +POD \/ IMAGE/);
    await terminal.waitFor(/ {2}watched +running +\d+\.\d +[\d.]+[KMG]iB +[\d.]+[MG]iB +\d+ +caisson\/hello/);
    expect(terminal.screen).toContain(`${escape}[?1049h${escape}[?25l`);
    // strong: the titles and the VM that is used
    expect(terminal.screen).toContain(`${escape}[1mVM / CONTAINER`);
    let drawn = terminal.screen.length;
    terminal.resize(24, 40);
    await terminal.waitFor(/VM \/ CONTAINER {2}[^\r]{0,24}\u001b/, undefined, drawn);
    terminal.resize(24, 110);
    drawn = terminal.screen.length;
    docker('pause', 'watched');
    await terminal.waitFor(/watched +paused/, undefined, drawn);
    drawn = terminal.screen.length;
    docker('rm', '--force', 'watched');
    await terminal.waitFor(/containers: 0 on VMs/, undefined, drawn);
    terminal.type('q');
    await expect(terminal.exited()).resolves.toBe(0);
    expect(terminal.screen).toMatch(/\u001b\[\?25h\u001b\[\?1049l$/);
  });

  test('with NO_COLOR it has none, and ctrl-C ends it as well', async () => {
    const terminal = open('caisson top', { NO_COLOR: '1' });
    await terminal.waitFor(/VM \/ CONTAINER/);
    terminal.type('\x03');
    await expect(terminal.exited()).resolves.toBe(0);
    expect(terminal.screen).not.toMatch(/\u001b\[\d+m/);
  });

  test('load has bars', async () => {
    const archive = join(dir, 'hello.tar');
    docker('save', '--output', archive, 'caisson/hello');
    docker('rmi', 'caisson/hello');
    const terminal = open(`caisson load --input ${archive}`);
    await expect(terminal.exited()).resolves.toBe(0);
    expect(terminal.screen).toMatch(/archive +Sending +[━─\u001b[\dm]+ +[\d.]+k?M?B\/[\d.]+MB/);
    expect(terminal.screen).toContain('Loaded image: caisson/hello:latest');
  });
});

test('down leaves no command behind, and nothing of somebody else is taken', () => {
  script('down');
  expect(existsSync(join(dir, 'bin', 'caisson'))).toBe(false);
});
