// The daemon inside of the cluster, as `caisson kubernetes install` has it: a Deployment with TLS, and no rights but its account's.

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { supervisorImage } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { type GuardedProcess, startGuarded, waitReady } from '../support/process/guarded-process';
import { projectDir } from '../support/process/project-dir';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, clusterScript, podRegistryHost, registryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const cluster = TestCluster.current();
const dir = makeScratchDir('deployment');
const namespace = `deployed-${process.pid}`;
const image = `${registryHost}/caisson/daemon:${process.pid}`;
const busybox = `${podRegistryHost}/busybox`;
const port = 20_000 + (process.pid % 10_000);
let forward: GuardedProcess | undefined;
let forwards = 0;

function inCluster(...command: string[]): string {
  const [program = '', ...args] = cluster.namespace.wrap(command);
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], cwd: dir });
}

function install(): void {
  const supervisor = supervisorImage();
  for (const [archive, target] of [
    [join(projectDir, 'build', 'guest', 'supervisor', 'image.tar'), supervisor],
    [join(dir, 'image.tar'), image],
  ] as const)
    inCluster(
      'skopeo',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `docker-archive:${archive}`,
      `docker://${target}`,
    );
  const options = ['--image', image, '--supervisor-image', supervisor, '--tls-secret', 'api'];
  const command = [process.execPath, join(projectDir, 'dist', 'main.js'), 'kubernetes', 'install', '--apply'];
  const where = ['--namespace', namespace, '--kubeconfig', cluster.kubeconfig];
  const more = [
    '--',
    '--kube-registry',
    `${podRegistryHost}/${namespace}`,
    '--insecure-registry',
    podRegistryHost,
  ];
  inCluster(...command, ...where, ...options, ...more);
}

function makeCertificates(): void {
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-subj', '/CN=ca', '-keyout', 'ca-key.pem', '-out', 'ca.pem');
  writeFileSync(join(dir, 'ext'), 'subjectAltName=IP:127.0.0.1,DNS:caisson\n');
  for (const name of ['cert', 'client']) {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial'],
      ...['-extfile', 'ext', '-out', `${name}.pem`],
    );
  }
}

function kubectl(...args: string[]): string {
  return cluster.kubectl('-n', namespace, ...args);
}

/** As a client of the Service that has the port on its own machine. */
async function docker(...args: string[]): Promise<string> {
  const cli = findDockerClis()[0]?.path ?? 'docker';
  const tls = [
    '--tlsverify',
    '--tlscacert',
    'ca.pem',
    '--tlscert',
    'client.pem',
    '--tlskey',
    'client-key.pem',
  ];
  const [program = '', ...rest] = cluster.namespace.wrap([
    cli,
    '--host',
    `tcp://127.0.0.1:${port}`,
    ...tls,
    ...args,
  ]);
  return (await promisify(execFile)(program, rest, { cwd: dir })).stdout.trimEnd();
}

async function forwardPort(): Promise<void> {
  const logPath = join(dir, `forward${forwards++}.log`);
  const command = ['bash', clusterScript, 'exec', cluster.name, 'kubectl', '-n', namespace, 'port-forward'];
  forward = await startGuarded([...command, 'service/caisson', `${port}:2376`], {
    logPath,
  });
  await waitReady(forward, () => Promise.resolve(readFileSync(logPath, 'utf8').includes('Forwarding from')));
}

beforeAll(async () => {
  execFileSync('bash', [join(__dirname, 'harness', 'daemon-image.sh'), image, join(dir, 'image.tar')]);
  makeCertificates();
  install();
  const files = ['ca.pem', 'cert.pem'].map((name) => `--from-file=${name}=${join(dir, name)}`);
  kubectl('create', 'secret', 'generic', 'api', ...files, `--from-file=key.pem=${join(dir, 'cert-key.pem')}`);
  kubectl('rollout', 'status', 'deployment/caisson', '--timeout=200s');
  await forwardPort();
});

afterAll(async () => {
  await forward?.stop();
  cluster.kubectl('delete', 'namespace', namespace, '--wait=false');
  rmSync(dir, { recursive: true, force: true });
});

it('runs containers for clients with its certificate, and images that it keeps', async () => {
  expect(await docker('version', '--format', '{{.Server.Os}}')).toBe('linux');
  await docker('pull', '--quiet', busybox);
  await docker('create', '--name', 'kept', busybox, 'sh', '-c', 'echo here; exit 3');
  await docker('start', 'kept');
  expect(await docker('wait', 'kept')).toBe('3');
  expect(await docker('logs', 'kept')).toBe('here');
  await docker('commit', 'kept', 'made');
  expect(await docker('run', '--rm', 'made', 'echo', 'from it')).toBe('from it');
});

it('refuses who has none', () => {
  expect(() =>
    inCluster('curl', '--silent', '--fail', '--cacert', 'ca.pem', `https://127.0.0.1:${port}/_ping`),
  ).toThrow();
});

it('knows what there is after its Pod was deleted', async () => {
  await forward?.stop();
  kubectl('delete', 'pod', '-l', 'app.kubernetes.io/component=daemon');
  kubectl('rollout', 'status', 'deployment/caisson', '--timeout=200s');
  await forwardPort();
  expect(await docker('logs', 'kept')).toBe('here');
  await docker('rm', '--force', 'kept');
});
