// docker build as newer clients do it: BuildKit, whose steps are Pods, and whose images are in the operator's registry.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { makeBusyboxArchive } from '../support/images/test-images';
import { projectDir } from '../support/process/project-dir';
import { makeScratchDir } from '../support/process/scratch-dir';
import { makeContext, startMaking, type Making } from './harness/own-registry';
import { privateRegistryHost, TestCluster } from './harness/test-cluster';

jest.setTimeout(300_000);

const newer = join(projectDir, 'build/trixie/usr'); // scripts/fetch-trixie.sh
const describeNewer = existsSync(join(newer, 'bin/docker')) ? describe : describe.skip;
const dir = makeScratchDir('buildkit');
const namespace = `buildkit-${process.pid}`;
let making: Making;

const variables = (): NodeJS.ProcessEnv => ({
  ...process.env,
  DOCKER_HOST: making.daemon.host,
  DOCKER_CONFIG: join(dir, 'config'),
  DOCKER_BUILDKIT: '1',
  HOME: dir,
});

/** Stdout. Rejects with stderr where it fails. */
async function docker(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(join(newer, 'bin/docker'), args, { env: variables() });
  return stdout.trimEnd();
}

function build(...args: string[]): Promise<string> {
  return docker('build', '--progress', 'plain', ...args);
}

/** A context with this Dockerfile. */
function context(name: string, dockerfile: string): string {
  return makeContext(dir, name, dockerfile);
}

/** Of steps that run. */
function stepPods(): string {
  return TestCluster.current().kubectl(
    ...['-n', namespace, 'get', 'pods', '-o', 'name', '--selector', 'caisson.io/build-step=true'],
  );
}

beforeAll(async () => {
  making = await startMaking(namespace, dir);
  mkdirSync(join(dir, 'config', 'cli-plugins'));
  for (const plugin of ['docker-buildx', 'docker-compose'])
    symlinkSync(
      join(newer, 'libexec/docker/cli-plugins', plugin),
      join(dir, 'config', 'cli-plugins', plugin),
    );
  await making.docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'box:1'));
});

afterAll(async () => {
  await making.daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

describeNewer('a client that builds with BuildKit', () => {
  it('has its commands run in Pods that nobody sees, and its image in the registry', async () => {
    const dockerfile = `
      FROM box:1 AS first
      ENV WORD=built
      COPY file /work/file
      RUN mkdir /made && echo "$WORD" >/made/here && ln -s here /made/link && chmod 604 /made/here && rm /work/file
      RUN test ! -e /work/file && test ! -e /var/run/secrets && echo more >>/made/here
      FROM box:1
      WORKDIR /app
      COPY --from=first /made/ ./
      USER 1000
      RUN id -u >/tmp/uid && pwd >/tmp/pwd
      CMD ["cat", "/app/link", "/tmp/uid", "/tmp/pwd"]
    `;
    const path = context('stages', dockerfile);
    await build('--tag', 'stages:1', path);
    expect(await docker('run', '--rm', 'stages:1')).toBe('built\nmore\n1000\n/app');
    await build('--tag', 'first:1', '--target', 'first', path);
    expect(await docker('run', '--rm', 'first:1', 'sh', '-c', 'ls /work; stat -c "%a %N" /made/*')).toBe(
      "604 /made/here\n777 '/made/link' -> 'here'",
    );
    expect(await docker('ps', '--all', '--quiet')).toBe('');
    const told = await promisify(execFile)(
      join(newer, 'bin/docker'),
      ['build', '--progress', 'plain', '--tag', 'stages:2', path],
      { env: variables() },
    );
    expect(told.stderr.match(/CACHED/g)).toHaveLength(6);
    expect(stepPods()).toBe('');
  });

  it('says how a command ended, in the words of BuildKit', async () => {
    const path = context('fails', 'FROM box:1\nRUN echo seen && exit 7\n');
    await expect(build(path)).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /seen[^]*process "\/bin\/sh -c echo seen && exit 7" did not complete successfully: exit code: 7/,
      ) as string,
    });
    const missing = context('missing', 'FROM box:1\nRUN ["/no/such"]\n');
    await expect(build(missing)).rejects.toMatchObject({
      stderr: expect.stringContaining('exec: "/no/such": stat /no/such: no such file or directory') as string,
    });
    const host = context('host', 'FROM box:1\nRUN --network=host true\n');
    await expect(build(host)).rejects.toMatchObject({
      stderr: expect.stringContaining('network.host') as string,
    });
    expect(stepPods()).toBe('');
  });

  it('mounts files, memory, secrets and caches in its commands, and keeps one from the network', async () => {
    const secret = 'not for everybody';
    writeFileSync(join(dir, 'secret'), secret);
    const dockerfile = `
      FROM box:1 AS other
      RUN mkdir -p /tree/below && echo deep >/tree/below/name && ln -s below/name /tree/link
      FROM box:1
      RUN --mount=type=bind,target=/context --mount=type=bind,from=other,source=/tree,target=/tree \\
          --mount=type=bind,source=file,target=/one \\
          cat /context/file /one /tree/link >/seen && ! touch /context/new && ! touch /tree/new
      RUN --mount=type=tmpfs,target=/memory grep ' /memory tmpfs ' /proc/mounts && echo lost >/memory/file
      RUN --mount=type=secret,id=word,target=/etc/word,mode=0440 --mount=type=secret,id=word \\
          stat -c %a /etc/word >/mode && cmp /etc/word /run/secrets/word && wc -c </etc/word >/size
      RUN --network=none test "$(grep -c : /proc/net/dev)" = 1 && grep -q lo: /proc/net/dev
      ARG TURN
      RUN --mount=type=cache,target=/cache,id=${namespace} cat /cache/turns >/before 2>/dev/null; echo turn >>/cache/turns
      RUN --mount=type=cache,target=/cache,id=${namespace} cat /cache/turns >/after
      CMD ["sh", "-c", "cat /seen /mode /size /after; ls -d /context /one /tree /memory /etc/word /run/secrets /cache 2>/dev/null"]
    `;
    const path = context('mounts', dockerfile);
    const flags = ['--secret', `id=word,src=${join(dir, 'secret')}`];
    await build(...flags, '--build-arg', 'TURN=1', '--tag', 'mounts:1', path);
    const seen = ['from the contextfrom the contextdeep', '440', String(secret.length), 'turn'].join('\n');
    // and nothing is left of where they were
    await expect(docker('run', '--rm', 'mounts:1')).rejects.toMatchObject({ stdout: `${seen}\n` });
    await build(...flags, '--build-arg', 'TURN=2', '--tag', 'mounts:2', path);
    expect(await docker('run', '--rm', 'mounts:2', 'cat', '/after')).toBe('turn\nturn');
    expect(await docker('run', '--rm', 'mounts:2', 'cat', '/before')).toBe('turn');
  });

  it('carries the agent of its client into a Pod, and leaves nothing of its socket', async () => {
    const [key, socket] = [join(dir, 'key'), join(dir, 'agent')];
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'the-key', '-f', key]);
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(agent.stdout, 'data'); // it listens
      execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
      const dockerfile = `
        FROM box:1
        COPY ask /ask
        RUN --mount=type=ssh --mount=type=ssh,target=/other/agent,mode=0666,uid=7 \\
            /ask /run/buildkit/ssh_agent.0 | tr -dc a-z- | grep -o the-key >/seen && stat -c '%a %u' /run/buildkit/ssh_agent.0 "$SSH_AUTH_SOCK" >>/seen && \\
            for i in 1 2 3; do /ask /other/agent & done | tr -dc a-z- | grep -o the-key >>/seen
        CMD ["sh", "-c", "cat /seen; ls -d /other /run/buildkit 2>/dev/null; true"]
      `;
      const path = context('ssh', dockerfile);
      const source = join(projectDir, 'guest/test/programs/agent-client.c');
      execFileSync('gcc', ['-static', '-o', join(path, 'ask'), source]);
      await build('--ssh', `default=${socket}`, '--tag', 'agent:1', path);
      expect(await docker('run', '--rm', 'agent:1')).toBe('the-key\n600 0\n666 7\nthe-key\nthe-key\nthe-key');
    } finally {
      agent.kill();
    }
  });

  it('gives results to its client, and to registries', async () => {
    const path = context(
      'results',
      'FROM box:1\nRUN echo made >/made\nFROM scratch\nCOPY --from=0 /made /made\n',
    );
    await build('--output', `type=local,dest=${join(dir, 'out')}`, path);
    expect(readFileSync(join(dir, 'out', 'made'), 'utf8')).toBe('made\n');
    await build('--output', `type=oci,dest=${join(dir, 'oci.tar')}`, path);
    expect(existsSync(join(dir, 'oci.tar'))).toBe(true);
    const name = `${privateRegistryHost}/${namespace}/pushed:1`;
    await build('--push', '--tag', name, path);
    await docker('rmi', name);
    await docker('pull', '--quiet', name);
    await docker('inspect', '--type', 'image', name);
  });

  it('is Compose, whose services are built as they come up', async () => {
    const path = context('compose', 'FROM box:1\nRUN echo served >/index\nCMD ["cat", "/index"]\n');
    const project = ['compose', '--project-name', 'built', '--project-directory', path];
    writeFileSync(join(path, 'compose.yaml'), 'services:\n  web:\n    build: .\n');
    expect(await docker(...project, 'up', '--build', '--no-log-prefix')).toMatch(/served$/m);
    await docker(...project, 'down', '--rmi', 'local');
  });

  it('leaves no Pod of a build that it gives up', async () => {
    const path = context('waits', 'FROM box:1\nRUN echo begun && sleep 600\n');
    const client = spawn(join(newer, 'bin/docker'), ['build', '--progress', 'plain', path], {
      env: variables(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let told = '';
    for await (const chunk of client.stderr) {
      told += String(chunk);
      if (/ begun$/m.test(told)) break;
    }
    expect(told).toMatch(/ begun$/m);
    const gone = spawn('bash', [
      join(projectDir, 'test/kubernetes/cluster/cluster.sh'),
      ...['exec', TestCluster.current().name, 'kubectl', '-n', namespace, 'wait', '--for=delete', 'pod'],
      ...['--selector', 'caisson.io/build-step=true', '--timeout', '120s'],
    ]);
    client.kill('SIGINT');
    const code = await new Promise((resolve) => gone.once('close', resolve));
    expect(code).toBe(0);
    expect(stepPods()).toBe('');
  });
});
