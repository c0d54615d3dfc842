// The cluster that a run of the tests uses: its own, or the one that CAISSON_TEST_CLUSTER names (test/kubernetes/cluster/cluster.sh start NAME).

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { NetworkNamespace } from '../../support/network/network-namespace';
import { projectDir } from '../../support/process/project-dir';

export const clusterScript = join(projectDir, 'test', 'kubernetes', 'cluster', 'cluster.sh');
/** Names the cluster for the tests' processes. */
export const clusterVariable = 'CAISSON_TEST_CLUSTER';
/** In the cluster's network: one for all, and one that asks for alice's password. */
export const registryHost = '127.0.0.1:5000';
/** The first of them, for Pods and nodes. */
export const podRegistryHost = '10.89.0.1:5000';
export const privateRegistryHost = '127.0.0.1:5001';

export class TestCluster {
  readonly name: string;
  readonly dir: string;
  /** Of an administrator. */
  readonly kubeconfig: string;

  constructor(name: string) {
    this.name = name;
    this.dir = `/tmp/caisson-kubernetes-${name}`;
    this.kubeconfig = join(this.dir, 'admin.conf');
  }

  /** The one of this run. Throws if there is none. */
  static current(): TestCluster {
    const name = process.env[clusterVariable];
    if (name === undefined) throw new Error('no cluster: is this a test of the project kubernetes?');
    return new TestCluster(name);
  }

  isReady(): boolean {
    return existsSync(join(this.dir, 'ready'));
  }

  get namespace(): NetworkNamespace {
    return NetworkNamespace.existing(Number(readFileSync(join(this.dir, 'init.pid'), 'utf8')));
  }

  /** Stdout. Throws with its stderr where it fails. */
  kubectl(...args: string[]): string {
    return this.kubectlWith('', ...args);
  }

  /** With `input` on stdin. */
  kubectlWith(input: string, ...args: string[]): string {
    return execFileSync('bash', [clusterScript, 'exec', this.name, 'kubectl', ...args], {
      encoding: 'utf8',
      input,
      maxBuffer: 1 << 26,
    });
  }
}
