// builds/: images that are made on a cluster, by docker build and docker commit: what runs does so in Pods, what comes of it goes into the
// registry that the operator names.
//
// docker build: BuildKit, whose steps are Pods (step-executor.ts), on one cache and workshop of the daemon (buildkit-host.ts). Here the
// classic builder, with a workshop of its own for each build.

import type { BuildBackend, BuildOptions, ProgressWriter } from '../../api/v1.41/backend';
import { LayerIndexes } from '../../builder/image-files';
import { runBuild } from '../../builder/run-build';
import { DaemonError } from '../../errors';
import { needsRegistry } from '../layers/own-registry';
import { ClusterBuildHost, type ClusterBuildNeeds } from './build-host';

export interface ClusterBuildsNeeds extends Omit<ClusterBuildNeeds, 'own'> {
  /** Undefined: the operator has named none. */
  own: ClusterBuildNeeds['own'] | undefined;
}

export class ClusterBuilds implements BuildBackend {
  readonly #needs: ClusterBuildsNeeds;
  /** Names of files in layers, of all builds; each build reads what is missing by itself. */
  readonly #indexes = new LayerIndexes({
    openTar: () => {
      throw new DaemonError('Internal', 'a layer is read by its build');
    },
  });

  constructor(needs: ClusterBuildsNeeds) {
    this.#needs = needs;
  }

  async build(
    options: BuildOptions,
    body: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const { own } = this.#needs;
    if (own === undefined) throw needsRegistry('docker build');
    await this.#needs.workshops.use(async (workshop) => {
      const host = await ClusterBuildHost.in(workshop, { ...this.#needs, own }, options, signal);
      const indexes = new LayerIndexes(host.layers, this.#indexes);
      try {
        await runBuild(host, indexes, { query: options.query, body, send: progress, signal });
      } finally {
        host.release();
      }
    });
  }
}
