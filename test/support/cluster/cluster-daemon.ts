// A daemon in front of a test cluster: its namespace installed by the product itself, and no rights but those that it asks for.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type TestCluster, registryHost } from '../../kubernetes/harness/test-cluster';
import { type GuardedProcess, startGuarded, waitReady } from '../process/guarded-process';
import { projectDir } from '../process/project-dir';
import { pings } from '../wire/http-client';

const mainScript = join(projectDir, 'dist', 'main.js');
const supervisorArchive = join(projectDir, 'build', 'guest', 'supervisor', 'image.tar');

export interface ClusterDaemonOptions {
  cluster: TestCluster;
  /** Takes the socket, the log and what else it keeps. */
  dir: string;
  /** Of the cluster; is made, and goes with the daemon, unless another's. */
  namespace: string;
  /** The daemon that has made the namespace. */
  beside?: ClusterDaemon;
  /** More arguments of `caisson daemon`. */
  args?: readonly string[];
  detached?: boolean;
}

export class ClusterDaemon {
  readonly host: string;
  readonly dir: string;
  readonly namespace: string;
  readonly #options: ClusterDaemonOptions;
  #process: GuardedProcess | undefined;

  private constructor(options: ClusterDaemonOptions) {
    this.#options = options;
    this.dir = options.dir;
    this.namespace = options.namespace;
    this.host = `unix://${options.dir}/caisson.sock`;
  }

  static async start(options: ClusterDaemonOptions): Promise<ClusterDaemon> {
    if (!existsSync(mainScript)) throw new Error('dist/main.js is missing: npm run build');
    mkdirSync(options.dir, { recursive: true });
    const daemon = new ClusterDaemon(options);
    if (options.beside === undefined) daemon.install();
    await daemon.start();
    return daemon;
  }

  get process(): GuardedProcess {
    if (this.#process === undefined) throw new Error('the daemon is not running');
    return this.#process;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning() ?? false;
  }

  /** What it answered in JSON, a line each (src/api/reply-recorder.ts). */
  get repliesPath(): string {
    return join(this.dir, 'replies.ndjson');
  }

  get logPath(): string {
    return join(this.dir, 'caisson.log');
  }

  async start(): Promise<void> {
    const { cluster, detached, args = [] } = this.#options;
    const command = [
      ...[process.execPath, mainScript, 'daemon', '--backend', 'kubernetes', '--host', this.host],
      ...['--data-root', join(this.dir, 'data'), '--run-dir', join(this.dir, 'run')],
      ...['--kubeconfig', this.#kubeconfig(), '--kube-namespace', this.namespace],
      ...['--kube-supervisor-image', supervisorImage(), ...args],
    ];
    const child = await startGuarded(cluster.namespace.wrap(command), {
      logPath: this.logPath,
      env: { CAISSON_RECORD_REPLIES: this.repliesPath },
      ...(detached === undefined ? {} : { detached }),
    });
    this.#process = child;
    await waitReady(child, () => pings(this.host));
  }

  /** As `kill -9` does. From the call on it does not run: what its clients are told then is no fault. */
  async kill9(): Promise<void> {
    const killed = this.process;
    this.#process = undefined;
    killed.kill('SIGKILL');
    await killed.exited;
  }

  /** Stops the daemon and takes away the namespace that it has made. Throws if a promise of it had no handler. */
  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
    if (this.#options.beside === undefined)
      this.#options.cluster.kubectl('delete', 'namespace', this.namespace, '--wait=false');
    const mistakes = readFileSync(this.logPath, 'utf8')
      .split('\n')
      .filter((line) => line.includes('unhandled rejection'));
    rmSync(join(this.dir, 'data'), { recursive: true, force: true });
    if (mistakes.length > 0) throw new Error(`the daemon had ${mistakes.length}:\n${mistakes.join('\n')}`);
  }

  /** What its namespace must have; again, where it was deleted. */
  install(): void {
    const { cluster } = this.#options;
    const run = (command: string[]): void => {
      const [first = '', ...rest] = cluster.namespace.wrap(command);
      execFileSync(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    };
    const install = ['kubernetes', 'install', '--namespace', this.namespace, '--apply'];
    run([process.execPath, mainScript, ...install, '--kubeconfig', cluster.kubeconfig]);
    const target = `docker://${supervisorImage()}`;
    run([
      'skopeo',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `docker-archive:${supervisorArchive}`,
      target,
    ]);
  }

  /** Of the account that was installed. */
  #kubeconfig(): string {
    const { cluster } = this.#options;
    const path = join(this.dir, 'account.conf');
    const token = cluster
      .kubectl('create', 'token', 'caisson', '-n', this.namespace, '--duration=24h')
      .trim();
    const ca = readFileSync(join(cluster.dir, 'pki', 'ca.crt')).toString('base64');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'test', cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': ca } },
      ],
      users: [{ name: 'caisson', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'caisson' } }],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }
}

/** By what it is made of, since nodes of a cluster that is kept have an earlier one under an earlier name. */
export function supervisorImage(): string {
  const digest = createHash('sha256').update(readFileSync(supervisorArchive)).digest('hex').slice(0, 12);
  return `${registryHost}/caisson/supervisor:${digest}`;
}
