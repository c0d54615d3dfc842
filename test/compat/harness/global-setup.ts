// Once per run, before any case: a namespace, a registry with the test images, dockerd, Caisson.
// CAISSON_COMPAT_KEEP=FILE leaves all of it running and notes it in FILE; a later run with the same FILE uses it again.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { findDockerClis } from '../../support/engines/docker-cli';
import { CpuAccount } from '../../support/process/cpu-account';
import { sendHttp } from '../../support/wire/http-client';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { hasBuildKitOracle, startBuildKitOracle } from '../../support/engines/buildkit-oracle';
import { startOracle } from '../../support/engines/oracle';
import { projectDir } from '../../support/process/project-dir';
import { startRegistry } from '../../support/images/registry-process';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { ensureTestImages, registryHost, registryPort, testImages } from '../../support/images/test-images';
import { ClusterDaemon } from '../../support/cluster/cluster-daemon';
import startTestCluster, { tearDown as stopTestCluster } from '../../kubernetes/harness/global-setup';
import { TestCluster, clusterVariable } from '../../kubernetes/harness/test-cluster';
import { costFile } from './cost';
import { type CompatEnvironment, type EngineName, publishEnvironment, wantedTarget } from './environment';

/** Of jest's configuration what matters here. */
interface RunOptions {
  testPathPatterns: { patterns: readonly string[] };
}

/** A directory of files that compare builds; a run of others starts no engine for them. */
const buildFiles = join(projectDir, 'test', 'compat', 'buildkit');

/** For an image: minutes on a machine with ten times its load, so that what takes longer hangs. */
const pullTimeoutMs = 600_000;

const stoppers: (() => Promise<void> | void)[] = [];

export default async function setUp({ testPathPatterns }: RunOptions): Promise<void> {
  const keep = process.env['CAISSON_COMPAT_KEEP'];
  const target = wantedTarget();
  if (keep !== undefined && existsSync(keep)) {
    // written below by an earlier run
    const kept = JSON.parse(readFileSync(keep, 'utf8')) as CompatEnvironment;
    if (kept.hosts.caisson === undefined && target !== 'dockerd' && target !== 'kubernetes') {
      const namespace = NetworkNamespace.existing(kept.namespacePid);
      const caisson = await CaissonDaemon.start({
        dir: join(kept.dir, 'c'),
        namespace,
        detached: true,
        recordsReplies: true,
      });
      await pullTestImages(caisson.host);
      kept.hosts.caisson = caisson.host;
      writeFileSync(keep, JSON.stringify(kept));
    }
    publishEnvironment({ ...kept, target });
    return;
  }
  const detached = keep !== undefined;
  const images = await ensureTestImages();
  const dir = makeScratchDir('compat');
  stoppers.push(() => rmSync(dir, { recursive: true, force: true }));
  const namespace = await NetworkNamespace.create(detached);
  stoppers.push(() => namespace.delete());
  try {
    const registryDir = join(dir, 'registry');
    mkdirSync(registryDir);
    const registry = await startRegistry({
      dir: registryDir,
      namespace,
      port: registryPort,
      seed: images,
      detached,
    });
    stoppers.push(() => registry.stop());
    tell('the registry runs');
    const hosts: CompatEnvironment['hosts'] = {};
    const cpuAccounts: CompatEnvironment['cpuAccounts'] = {};
    /** Wraps commands into the namespace, and, where costs are asked for, into a group that counts. */
    const counted = (engine: EngineName): Pick<NetworkNamespace, 'wrap'> => {
      const account =
        costFile === undefined ? undefined : CpuAccount.open(`caisson-cost-${process.pid}-${engine}`);
      if (account === undefined) return namespace;
      cpuAccounts[engine] = account.path;
      stoppers.push(() => account.close());
      return { wrap: (command) => account.wrap(namespace.wrap(command)) };
    };
    let knownIds: Record<string, string> = {};
    if (target !== 'caisson') {
      const oracle = await startOracle(join(dir, 'd'), counted('dockerd'), detached);
      stoppers.push(() => oracle.process.stop());
      tell('dockerd runs');
      knownIds = await pullTestImages(oracle.host);
      hosts.dockerd = oracle.host;
    }
    if (target !== 'caisson' && hasBuildKitOracle && wantsBuilds(testPathPatterns.patterns)) {
      const oracle = await startBuildKitOracle(join(dir, 'b'), namespace, detached);
      stoppers.push(() => oracle.stop());
      tell('the dockerd with BuildKit runs');
      knownIds = { ...(await pullTestImages(oracle.host)), ...knownIds };
      hosts.buildkit = oracle.host;
    }
    if (target === 'kubernetes') {
      hosts.kubernetes = await startOnCluster(join(dir, 'k'), detached);
      tell('Caisson runs in front of a cluster');
      knownIds = { ...(await pullTestImages(hosts.kubernetes)), ...knownIds };
    } else if (target !== 'dockerd') {
      const caisson = await CaissonDaemon.start({
        dir: join(dir, 'c'),
        namespace: counted('caisson'),
        detached,
        recordsReplies: true,
      });
      stoppers.push(() => caisson.stop());
      tell('Caisson runs');
      knownIds = { ...(await pullTestImages(caisson.host)), ...knownIds };
      hosts.caisson = caisson.host;
    }
    tell('all have their images');
    const environment = {
      target,
      hosts,
      clis: findDockerClis(),
      knownIds,
      namespacePid: namespace.holderPid,
      ...(target === 'kubernetes' ? { clusterPid: TestCluster.current().namespace.holderPid } : {}),
      dir,
      cpuAccounts,
    };
    publishEnvironment(environment);
    if (keep !== undefined) writeFileSync(keep, JSON.stringify(environment));
  } catch (error) {
    await tearDown();
    throw error;
  }
}

/** Its host. The cluster is the run's own, unless CAISSON_TEST_CLUSTER names one. */
async function startOnCluster(dir: string, detached: boolean): Promise<string> {
  if (detached && process.env[clusterVariable] === undefined)
    throw new Error(`what is to be kept needs a cluster that is kept: ${clusterVariable}`);
  await startTestCluster();
  stoppers.push(() => stopTestCluster());
  const args = ['--kube-registry', `${registryHost}/made`];
  const options = { cluster: TestCluster.current(), dir, namespace: `compat-${process.pid}`, args, detached };
  const daemon = await ClusterDaemon.start(options);
  stoppers.push(() => daemon.stop());
  return daemon.host;
}

/** Whoever reads the output of a run that hangs should see how far it came. */
function tell(what: string): void {
  process.stderr.write(`compat: ${what}\n`);
}

function wantsBuilds(patterns: readonly string[]): boolean {
  const files = readdirSync(buildFiles).map((name) => join(buildFiles, name));
  return (
    patterns.length === 0 || patterns.some((pattern) => files.some((file) => new RegExp(pattern).test(file)))
  );
}

/** Stops what setUp started, in the opposite order. */
export async function tearDown(): Promise<void> {
  const errors: unknown[] = [];
  for (const stop of stoppers.splice(0).reverse()) {
    try {
      await stop();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** Pulls each image from the registry and tags it without the registry's name; returns ids by name. */
async function pullTestImages(host: string): Promise<Record<string, string>> {
  const docker = (...args: string[]): string =>
    execFileSync('/usr/bin/docker', ['--host', host, ...args], { encoding: 'utf8', timeout: pullTimeoutMs });
  const ids: Record<string, string> = {};
  for (const image of testImages) {
    docker('pull', '--quiet', `${registryHost}/${image}`);
    docker('tag', `${registryHost}/${image}`, image);
    const reply = await sendHttp(host, { method: 'GET', path: `/v1.41/images/${image}/json` });
    // an image inspect
    ids[image] = (JSON.parse(reply.body) as { Id: string }).Id.replace('sha256:', '');
  }
  return ids;
}
