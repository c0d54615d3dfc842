// BuildKit itself in a container of ours, by both drivers of buildx: its state is a disk, outlives the builder where that is wanted, and
// goes with it where it isn't.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { NetworkNamespace } from '../support/network/network-namespace';
import { projectDir } from '../support/process/project-dir';

/** Of scripts/fetch-forky.sh. */
const newest = join(projectDir, 'build', 'forky', 'usr');
/** What buildx asks for by default; it takes the local one where it can't be pulled. */
const imageName = 'moby/buildkit:buildx-stable-1';
const port = 1234;

export interface BuildersLab {
  /** Scratch. */
  readonly dir: string;
  readonly suiteDir: string;
  readonly namespace: NetworkNamespace;
  readonly host: string;
  readonly dataRoot: string;
}

/** Throws at the first thing that isn't as it should be. */
export async function tryBuilders(lab: BuildersLab): Promise<void> {
  const { dir, namespace, host, dataRoot } = lab;
  const config = join(dir, 'config');
  mkdirSync(join(config, 'cli-plugins'), { recursive: true });
  symlinkSync(
    join(newest, 'libexec/docker/cli-plugins/docker-buildx'),
    join(config, 'cli-plugins', 'docker-buildx'),
  );
  const docker = (...args: string[]): string => {
    const [program = '', ...rest] = namespace.wrap([join(newest, 'bin/docker'), '--host', host, ...args]);
    const env = { ...process.env, DOCKER_CONFIG: config, BUILDKIT_PROGRESS: 'plain' };
    const out = execFileSync('sh', ['-c', 'exec "$0" "$@" 2>&1', program, ...rest], {
      env,
      encoding: 'utf8',
    });
    process.stdout.write(`docker ${args.join(' ')}\n`);
    return out;
  };
  const require = (what: string, is: boolean): void => {
    if (!is) throw new Error(`not so: ${what}`);
  };
  importImage(lab, docker);
  const context = makeContext(dir);
  const build = (builder: string): string =>
    docker('buildx', 'build', '--builder', builder, '--load', '-t', builder, context);
  const cachedSteps = (told: string): number =>
    told.split('\n').filter((line) => line.endsWith(' CACHED')).length;
  const create = (...args: string[]): string => docker('buildx', 'create', '--bootstrap', ...args);

  create('--name', 'own', '--driver', 'docker-container');
  require('layers are laid upon each other', docker('logs', 'buildx_buildkit_own0').includes(
    'using overlayfs',
  ));
  build('own');
  require('what was built runs', docker('run', '--rm', 'own') === 'one\n');
  docker('buildx', 'rm', '--keep-state', 'own');
  create('--name', 'own', '--driver', 'docker-container');
  require('the next builder has the state', cachedSteps(build('own')) === 3);
  docker('buildx', 'rm', 'own');
  const disks = readdirSync(join(dataRoot, 'volume-disks')).filter((name) => name.endsWith('.ext4'));
  require('the state is gone', docker('volume', 'ls', '-q') === '' && disks.length === 0);

  const address = `tcp://0.0.0.0:${port}`;
  const published = `127.0.0.1:${port}:${port}`;
  docker('run', '-d', '--name', 'far', '--privileged', '-p', published, imageName, '--addr', address);
  for (;;) {
    if (docker('logs', 'far').includes(`running server on [::]:${port}`)) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  create('--name', 'remote', '--driver', 'remote', `tcp://127.0.0.1:${port}`);
  build('remote');
  require('what was built elsewhere runs', docker('run', '--rm', 'remote') === 'one\n');
  docker('buildx', 'rm', 'remote');
  docker('rm', '-fv', 'far');
}

function makeContext(dir: string): string {
  const context = join(dir, 'context');
  mkdirSync(context);
  cpSync('/usr/bin/busybox', join(context, 'busybox'));
  const instructions = [
    'FROM scratch',
    'COPY busybox /bin/busybox',
    'RUN ["/bin/busybox", "--install", "/bin"]',
    'RUN --mount=type=cache,target=/c echo one >/c/f; cat /c/f >/one',
    'CMD ["cat", "/one"]',
  ];
  writeFileSync(join(context, 'Dockerfile'), `${instructions.join('\n')}\n`);
  return context;
}

/** Of buildkitd, this machine's runc and busybox. */
function importImage({ dir, suiteDir }: BuildersLab, docker: (...args: string[]) => string): void {
  const root = join(dir, 'image');
  const put = (from: string, to: string): void => {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    cpSync(from, join(root, to), { dereference: true });
  };
  put(join(suiteDir, 'bin', 'buildkitd'), 'usr/bin/buildkitd');
  put(join(suiteDir, 'bin', 'buildctl'), 'usr/bin/buildctl');
  put('/usr/sbin/runc', 'usr/bin/buildkit-runc');
  put('/usr/bin/busybox', 'bin/busybox');
  symlinkSync('busybox', join(root, 'bin', 'sh'));
  const libraries = execFileSync('ldd', ['/usr/sbin/runc'], { encoding: 'utf8' });
  for (const [path] of libraries.matchAll(/\/[^ \n]+/g)) put(path, path);
  for (const name of ['etc', 'tmp', 'root', 'var/lib']) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const archive = join(dir, 'image.tar');
  execFileSync('tar', ['-C', root, '-cf', archive, '.']);
  const changes = ['ENTRYPOINT ["buildkitd"]', 'VOLUME /var/lib/buildkit', 'ENV PATH=/usr/bin:/bin'];
  docker('import', ...changes.flatMap((change) => ['-c', change]), archive, imageName);
}
