// Builds by the clients that people have: on the dockerd that has BuildKit, and on Caisson.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { OperationQueue } from '../../../src/async/operation-queue';
import { hasBuildKitOracle } from '../../support/engines/buildkit-oracle';
import { runScript } from '../../support/engines/docker-cli';
import { projectDir } from '../../support/process/project-dir';
import { tailRuns } from '../../support/shards';
import { steadyProgress } from './build-progress';
import { casesHere, defineCase, splitSteps } from './cases';
import type { Transcript } from './compare';
import { compatEnvironment } from './environment';

const pluginsOf = (release: string): string[] => {
  const dir = join(projectDir, 'build', release, 'usr', 'libexec', 'docker', 'cli-plugins');
  return ['docker-buildx', 'docker-compose'].map((name) => join(dir, name));
};

/**
 * `cli`: the docker command alone, which speaks to `/build?version=2`. `buildx`: a newer one with the plugins of Debian's next
 * release. `newest`: what scripts/fetch-forky.sh has fetched. All have the same case.
 */
export type BuildClient = 'cli' | 'buildx' | 'newest';

/** What scripts have besides those of runScript. */
const helpers = `
cached() { docker build "$@" 2>&1 | awk '/^#[0-9]+ \\[/ { t[$1] = $0 } /^#[0-9]+ CACHED/ { sub(/^#[0-9]+ /, "", t[$1]); print t[$1] }' | grep -v ' FROM ' | sort; }
reason() { grep . | tail -n 1 | sed 's/: failed to do request: .*//; s/: Get .*//'; }
port=$((20000 + 0x\${c#c} % 20000))`;

export interface BuildCase {
  /**
   * As in scriptCases, with: `cached`, a build that prints the steps that were in the cache; `reason`, the last line of the input without
   * how a registry could not be reached; `$port`, the case's own.
   * `docker build` prints plain progress, whose steadyProgress() is compared.
   */
  script: string;
  /** `buildx` alone where nothing is said. */
  clients?: readonly BuildClient[];
  timeoutSeconds?: number;
}

interface ClientSetUp {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  readonly plugins: readonly string[];
}

/** Those that this machine has. */
function clientSetUps(): Partial<Record<BuildClient, ClientSetUp>> {
  const { clis } = compatEnvironment();
  const [oldest] = clis;
  const newest = clis.at(-1);
  const plugins = pluginsOf('trixie');
  const newestPlugins = pluginsOf('forky');
  const forky = join(projectDir, 'build', 'forky', 'usr', 'bin', 'docker');
  const isThere = (paths: readonly string[]): boolean => paths.every((path) => existsSync(path));
  return {
    ...(oldest === undefined ? {} : { cli: { name: 'docker', ...oldest, plugins: [] } }),
    ...(newest === undefined || newest === oldest || !isThere(plugins)
      ? {}
      : { buildx: { name: 'buildx', ...newest, plugins } }),
    ...(isThere([forky, ...newestPlugins])
      ? { newest: { name: 'newest', path: forky, version: 'forky', plugins: newestPlugins } }
      : {}),
  };
}

/** Scripts that build; they want the dockerd of scripts/fetch-dockerd.sh. The first client of a case is main where the case is; the others are of the long tail. */
export function buildCases(group: string, cases: Record<string, string | BuildCase>): void {
  if (!hasBuildKitOracle) {
    it.todo(`${group}: no dockerd with BuildKit is on this machine`);
    return;
  }
  const setUps = clientSetUps();
  for (const [name, entry] of casesHere(group, cases)) {
    const {
      script,
      clients = ['buildx'],
      timeoutSeconds = 120,
    } = typeof entry === 'string' ? { script: entry } : entry;
    // one after the other, as in scriptCases
    const variants = new OperationQueue();
    for (const [index, client] of clients.entries()) {
      const setUp = setUps[client];
      if (setUp === undefined || (index > 0 && !tailRuns(`${group}: ${name} ${client}`))) continue;
      const title = clients.length > 1 ? `${name} [${setUp.name}]` : name;
      const key = JSON.stringify([script, setUp.version]);
      const run = async (host: string, caseName: string): Promise<Transcript> => {
        const results = await runScript({
          cli: setUp,
          host,
          steps: [helpers, ...splitSteps(script)],
          plugins: setUp.plugins,
          variables: {
            c: caseName,
            DOCKER_BUILDKIT: '1',
            BUILDKIT_PROGRESS: 'plain',
            HOST_NETWORK: `/proc/${compatEnvironment().namespacePid}/ns/net`,
            // what is found of the repository that the work directory is not in
            BUILDX_GIT_INFO: 'false',
          },
          timeoutMs: timeoutSeconds * 1000,
        });
        return results.slice(1).map(({ step, stdout, stderr, exitCode }) => ({
          label: `$ ${step}`,
          exitCode,
          stdout: steadyProgress(stdout),
          stderr: steadyProgress(stderr),
        }));
      };
      defineCase(group, title, key, run, { begin: (test) => variants.run(test), oracle: 'buildkit' });
    }
  }
}
