// Once per run: a cluster, unless one runs that is to be used.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { ensureTestImages } from '../../support/images/test-images';
import { type GuardedProcess, startGuarded, waitReady } from '../../support/process/guarded-process';
import { projectDir } from '../../support/process/project-dir';
import { TestCluster, clusterScript, clusterVariable } from './test-cluster';

let cluster: GuardedProcess | undefined;
/** Projects of this run that use it: compat has it started, too. */
let users = 0;

export default async function setUp(): Promise<void> {
  users += 1;
  if (process.env[clusterVariable] !== undefined) return;
  const images = await ensureTestImages();
  const name = `t${process.pid}`;
  const logDir = join(projectDir, 'build', 'test-kubernetes');
  mkdirSync(logDir, { recursive: true });
  process.stderr.write('kubernetes: starting a cluster; the first time its programs are compiled\n');
  const command = ['bash', clusterScript, 'run', name, '--nodes', '2', '--registry', images];
  cluster = await startGuarded(command, { logPath: join(logDir, 'cluster.log') });
  const started = new TestCluster(name);
  // compiling takes longer than anything else that tests wait for
  await waitReady(cluster, () => Promise.resolve(started.isReady()), 3_600_000);
  process.env[clusterVariable] = name;
}

export async function tearDown(): Promise<void> {
  users -= 1;
  if (users === 0) await cluster?.stop();
}
