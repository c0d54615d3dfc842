// The web page's part of the daemon: what its server is given of engine and API.

import type { BuildHistory } from '../buildkit/history/history';
import type { Api } from '../api/server';
import type { Containers } from '../engine/backends/containers';
import type { EngineVms } from '../engine/pods/vm-service';
import type { ExecBackend } from '../api/v1.41/backend';
import type { Config } from '../config';
import { serveWeb } from '../web/web-server';
import { Sampler, type SampledEngine } from '../web/sampler';
import { webBuilds } from './web-builds';
import type { DoctorFinding } from '../web/types';

/** What belongs to other commands of the program. */
export interface DaemonHelpers {
  /** What `caisson doctor` says of this machine. */
  doctor?: () => Promise<DoctorFinding[]>;
}

export interface WebPageEngine {
  containers: Containers;
  podVms: EngineVms;
  execs: ExecBackend;
  buildHistory: BuildHistory;
  versions: { engine: string };
}

/** Resolves with what takes it down. */
export async function serveWebPage(
  config: Config,
  web: NonNullable<Config['web']>,
  engine: WebPageEngine,
  api: Api,
  { doctor }: DaemonHelpers,
): Promise<() => Promise<void>> {
  const sampler = new Sampler(sampledEngine(engine));
  const page = await serveWeb({
    ...web,
    assetsDir: config.webAssetsDir,
    runDir: config.runDir,
    version: engine.versions.engine,
    experimental: config.experimental,
    api: (request, response) => api.handle(request, response),
    execs: engine.execs,
    sampler,
    builds: webBuilds(engine.buildHistory),
    ...(doctor === undefined ? {} : { doctor }),
  });
  sampler.start();
  return async () => {
    await sampler.close();
    await page.close();
  };
}

function sampledEngine({ containers, podVms }: WebPageEngine): SampledEngine {
  return {
    containers: () => containers.list({ all: false, limit: 0, size: false, filters: new Map() }),
    async stats(id, signal) {
      for await (const sample of await containers.stats(id, { stream: false, oneShot: true }, signal))
        return sample;
      return undefined;
    },
    vms: () => podVms.list(),
  };
}
