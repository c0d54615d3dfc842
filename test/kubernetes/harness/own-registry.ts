// A daemon with --kube-registry: the one that asks for alice's password. And a docker command that knows it.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../../support/cluster/cluster-daemon';
import { findDockerClis } from '../../support/engines/docker-cli';
import { TestCluster, privateRegistryHost } from './test-cluster';

const credentials = { username: 'alice', password: 'secret' };
const secretName = 'made-images';

/** Of a daemon that `docker` speaks to. */
export interface Making {
  daemon: ClusterDaemon;
  secretName: string;
  /** For the command line. */
  cli: string;
  flags: readonly string[];
  /** Stdout. Rejects with stderr where it fails. */
  docker: (...args: string[]) => Promise<string>;
}

export async function startMaking(namespace: string, dir: string): Promise<Making> {
  const cluster = TestCluster.current();
  const args = [
    '--kube-registry',
    `${privateRegistryHost}/${namespace}`,
    '--kube-registry-secret',
    secretName,
  ];
  const daemon = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'daemon'), args });
  const login = Object.entries(credentials).map(([name, value]) => `--docker-${name}=${value}`);
  const secret = ['secret', 'docker-registry', secretName, `--docker-server=${privateRegistryHost}`];
  cluster.kubectl('-n', namespace, 'create', ...secret, ...login);
  mkdirSync(join(dir, 'config'));
  const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  writeFileSync(
    join(dir, 'config', 'config.json'),
    JSON.stringify({ auths: { [privateRegistryHost]: { auth } } }),
  );
  const cli = findDockerClis()[0]?.path ?? 'docker';
  const flags = ['--config', join(dir, 'config'), '--host', daemon.host];
  // what a build is made by is said by who wants BuildKit
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  const docker = async (...words: string[]): Promise<string> =>
    (await promisify(execFile)(cli, [...flags, ...words], { env })).stdout.trimEnd();
  return { daemon, secretName, cli, flags, docker };
}

/** In `dir`: a context of this name, with this Dockerfile and a file. */
export function makeContext(dir: string, name: string, dockerfile: string): string {
  const path = join(dir, name);
  mkdirSync(path);
  writeFileSync(join(path, 'Dockerfile'), dockerfile);
  writeFileSync(join(path, 'file'), 'from the context');
  return path;
}
