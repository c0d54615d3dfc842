// Programs of another processor in VMs: containers, execs, steps of builds of either builder. Needs scripts/fetch-emulators.sh and
// fetch-trixie.sh.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { projectDir } from '../../support/process/project-dir';

const emulators = join(projectDir, 'build', 'emulators');
const foreignBusybox = join(emulators, 'arm64', 'bin', 'busybox');
const next = join(projectDir, 'build', 'trixie', 'usr');
/** An emulator in an emulated VM: a program takes a second to start, more on a busy host. */
const slow = 900_000;

const isThere = existsSync(foreignBusybox) && existsSync(join(next, 'bin', 'docker'));
const foreign = isThere ? describe : describe.skip;

foreign('programs of arm64', () => {
  const engine = useBusyboxDaemon('emulation', ['--emulator-dir', join(emulators, 'usr', 'bin')]);

  /** The newer docker command with its buildx plugin. */
  function buildx(...args: string[]): string {
    const config = join(engine.dir, 'config');
    mkdirSync(join(config, 'cli-plugins'), { recursive: true });
    const plugin = join(config, 'cli-plugins', 'docker-buildx');
    if (!existsSync(plugin)) symlinkSync(join(next, 'libexec/docker/cli-plugins/docker-buildx'), plugin);
    const { status, stdout, stderr } = spawnSync(
      join(next, 'bin', 'docker'),
      ['--host', engine.daemon.host, 'buildx', ...args],
      { encoding: 'utf8', env: { ...process.env, DOCKER_CONFIG: config, BUILDKIT_PROGRESS: 'plain' } },
    );
    if (status !== 0) throw new Error(stderr);
    return stdout + stderr;
  }

  function contextOf(name: string, dockerfile: string): string {
    const context = join(engine.dir, name);
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    return context;
  }

  beforeAll(() => {
    const root = join(engine.dir, 'arm');
    mkdirSync(join(root, 'bin'), { recursive: true });
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n');
    copyFileSync(foreignBusybox, join(root, 'bin', 'busybox'));
    chmodSync(join(root, 'bin', 'busybox'), 0o4755);
    for (const name of ['sh', 'uname', 'cat', 'id', 'sleep', 'kill'])
      symlinkSync('busybox', join(root, 'bin', name));
    const tar = join(engine.dir, 'arm.tar');
    execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-cf', tar, '.']);
    engine.docker('import', '--platform', 'linux/arm64', tar, 'box:arm64');
    engine.docker('tag', 'busybox:latest', 'box:amd64');
  });

  test(
    'run in containers and execs, with their own names and rights',
    () => {
      const run = ['run', '--rm', '--platform', 'linux/arm64', '--user', 'user', 'box:arm64'];
      // busybox's own id drops no rights: who it is shows that setuid counts
      expect(engine.docker(...run, 'sh', '-c', 'echo $0; uname -m; id -u')).toMatch(/^sh\naarch64\n/);
      const id = engine.docker('run', '-d', '--platform', 'linux/arm64', 'box:arm64', 'sleep', '600');
      expect(engine.docker('exec', id, 'uname', '-m')).toBe('aarch64');
      expect(engine.docker('inspect', '--format', '{{.State.Running}}', id)).toBe('true');
      // a stopped one's files are looked at, and it starts again
      engine.docker('kill', id);
      expect(engine.docker('cp', `${id}:/etc/passwd`, join(engine.dir, 'passwd'))).toBe('');
      engine.docker('start', id);
      expect(engine.docker('exec', id, 'uname', '-m')).toBe('aarch64');
      engine.docker('rm', '-f', id);
    },
    slow,
  );

  test(
    'run in builds: for two platforms at once by BuildKit, for one by the classic builder',
    () => {
      const context = contextOf(
        'platforms',
        'ARG TARGETARCH\nFROM box:$TARGETARCH AS base\nRUN uname -m >/one\nRUN cat /one /one >/two\n' +
          'FROM scratch\nCOPY --from=base /two /\n',
      );
      const out = join(engine.dir, 'out');
      buildx('build', '--platform', 'linux/amd64,linux/arm64', '-o', out, context);
      const made = ['linux_amd64', 'linux_arm64'].map((dir) =>
        execFileSync('cat', [join(out, dir, 'two')], { encoding: 'utf8' }),
      );
      expect(made).toEqual(['x86_64\nx86_64\n', 'aarch64\naarch64\n']);
      expect(buildx('inspect')).toMatch(/^Platforms: .*linux\/amd64.*linux\/arm64/m);

      const classic = contextOf('classic', 'FROM box:arm64\nRUN uname -m >/made\nCMD ["cat", "/made"]\n');
      execFileSync(
        'docker',
        ['--host', engine.daemon.host, 'build', '-q', '--platform', 'linux/arm64', '-t', 'made', classic],
        { env: { ...process.env, DOCKER_BUILDKIT: '0' } },
      );
      expect(engine.docker('run', '--rm', '--platform', 'linux/arm64', 'made')).toBe('aarch64');
    },
    slow,
  );
});
