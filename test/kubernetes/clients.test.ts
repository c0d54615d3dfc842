// Clients that know nothing of clusters, unchanged: Compose of both generations with a database behind an internal network, and testcontainers.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { composeShop } from '../support/images/compose-shop';
import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { projectDir } from '../support/process/project-dir';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, registryHost } from './harness/test-cluster';

jest.setTimeout(900_000);

const cli = findDockerClis()[0]?.path ?? 'docker';
const dir = makeScratchDir('clients');
const cluster = TestCluster.current();
const plugins = join(projectDir, 'build/trixie/usr/libexec/docker/cli-plugins'); // scripts/fetch-trixie.sh
let daemon: ClusterDaemon;

beforeAll(async () => {
  daemon = await ClusterDaemon.start({
    cluster,
    namespace: `clients-${process.pid}`,
    dir: join(dir, 'daemon'),
  });
});

afterAll(async () => {
  await daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

const variables = (): NodeJS.ProcessEnv => ({
  ...process.env,
  DOCKER_HOST: daemon.host,
  DOCKER_CONFIG: join(dir, 'config'),
  COMPOSE_HTTP_TIMEOUT: '600',
});

/** Stdout. Rejects with stderr where it fails. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd, env: variables() });
  return stdout.trimEnd();
}

/** Where the daemon's ports are. */
function runOnHost(...command: string[]): Promise<string> {
  const [first = '', ...rest] = cluster.namespace.wrap(command);
  return run(dir, first, ...rest);
}

/** What the web server says: it is up before who is behind it has answered for the first time. */
async function page(port: number, logs: () => Promise<string>): Promise<string> {
  const always = ['--retry', '60', '--retry-all-errors', '--retry-delay', '1'];
  try {
    return await runOnHost('curl', '--silent', '--fail', ...always, `127.0.0.1:${port}/`);
  } catch (error) {
    throw new Error(await logs(), { cause: error });
  }
}

const generations = [
  {
    name: 'v1',
    port: 18211,
    command: ['/usr/bin/docker-compose'],
    isThere: existsSync('/usr/bin/docker-compose'),
  },
  {
    name: 'v2',
    port: 18212,
    command: [cli, 'compose'],
    isThere: existsSync(join(plugins, 'docker-compose')),
  },
];

for (const { name, port, command, isThere } of generations) {
  (isThere ? it : it.skip)(
    `Compose ${name}: a web stack with a database, up, changed, restarted and down`,
    async () => {
      const project = join(dir, name);
      mkdirSync(project);
      mkdirSync(join(dir, 'config', 'cli-plugins'), { recursive: true });
      writeFileSync(join(dir, 'config', 'config.json'), JSON.stringify({ cliPluginsExtraDirs: [plugins] }));
      writeFileSync(join(project, 'docker-compose.yml'), composeShop(port));
      writeFileSync(join(project, 'app.env'), 'TITLE=shop\n');
      writeFileSync(join(project, 'password.txt'), 'a word of the test\n');
      const [first = '', ...rest] = command;
      const compose = (...args: string[]): Promise<string> =>
        run(project, first, ...rest, '-p', `shop-${name}`, ...args);

      const logs = async (): Promise<string> =>
        `${await compose('ps', '-a')}\n${await compose('logs', '--tail', '20')}`;
      await compose('up', '-d');
      expect(await page(port, logs)).toContain('shop');
      // the database is reached from the application, and not from the web server, which is on another network
      expect(
        await compose(
          'exec',
          '-T',
          'app',
          'sh',
          '-c',
          'cat $DB_PASSWORD_FILE; getent hosts cache database | wc -l',
        ),
      ).toBe('a word of the test\n2');
      await expect(compose('exec', '-T', 'web', 'getent', 'hosts', 'database')).rejects.toThrow();
      const hits = async (): Promise<number> =>
        Number(await compose('exec', '-T', 'cache', 'redis-cli', 'get', 'hits'));
      const before = await hits();

      writeFileSync(join(project, 'app.env'), 'TITLE=market\n');
      await compose('up', '-d');
      expect(await page(port, logs)).toContain('market');
      await compose('restart');
      expect(await page(port, logs)).toContain('market');
      expect(await hits()).toBeGreaterThan(before);

      await compose('down', '-v');
      const namespace = ['--namespace', daemon.namespace];
      // a Pod has two seconds to end in, and keeps its claims until then
      for (const what of [
        ['pod', '--selector', 'caisson.io/container'],
        ['pvc', '--all'],
      ])
        cluster.kubectl('wait', '--for=delete', '--timeout=120s', ...namespace, ...what);
      const left = 'containers.caisson.io,persistentvolumeclaims,secrets';
      expect(cluster.kubectl('get', left, ...namespace, '--output', 'name')).toBe('');
      expect(await run(dir, cli, 'network', 'ls', '--quiet', '--filter', `name=shop-${name}`)).toBe('');
    },
  );
}

it('testcontainers: waits, networks, files, execs, logs and restarts', async () => {
  for (const args of [
    ['pull', '--quiet', `${registryHost}/busybox`],
    ['tag', `${registryHost}/busybox`, 'busybox'],
  ])
    await run(dir, cli, ...args);
  const [first = '', ...rest] = cluster.namespace.wrap([
    ...['env', 'TESTCONTAINERS_RYUK_DISABLED=true', process.execPath],
    ...[join(projectDir, 'test/compat/clients/testcontainers-client.mjs'), 'clients'],
  ]);
  expect(JSON.parse(await run(dir, first, ...rest))).toMatchObject({
    page: 'hello\n',
    exec: { exitCode: 3, stdout: 'out\n' },
    logs: true,
    clientLogs: 'hello',
    after: { exitCode: 0, output: 'again\n' },
    copied: { exitCode: 0, output: '640\ncopied//' },
  });
  expect(await run(dir, cli, 'ps', '--all', '--quiet', '--filter', 'label=case=clients')).toBe('');
});
