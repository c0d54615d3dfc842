// `/build`: the classic builder and BuildKit, and pruning what builds keep.

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError } from '../../errors';
import { goDurationProblem } from '../../go/duration';
import { goQuote } from '../../go/quote';
import type { Filters, BuildBackend, BuildKitBackend } from './backend';
import { queryFilters } from './filters';
import { holds } from './old-versions';
import { registryConfig } from './image-request';
import { streamProgress } from './progress-stream';
import { queryBool, queryOf, queryText } from '../http/query';
import { sendJson } from '../http/reply';
import { drained } from '../../async/drained';
import { clientSignal } from '../http/response-stream';
import { noBuildKit } from './not-implemented';

/** Which of dockerd's two builders a request is for. */
const buildKitVersion = '2';
const failedPrune = 'failed to prune build cache: ';
const oneValueOnly = 'filters expect only one value';
const ageFilters = ['until', 'unused-for'];
/** What BuildKit knows of a record of its cache. */
const cacheFields = ['id', 'parent', 'type', 'description', 'inuse', 'shared', 'private'];
const cacheFilters = [...ageFilters, ...cacheFields, 'label', 'label!'];

export function buildRoutes(backend: BuildBackend, buildKit: BuildKitBackend | undefined): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ImageBuild: 200 | 400 | 501 BuildKit, where there is none
  router.post('/build', async (req, res) => {
    const options = { query: buildQuery(req), auths: registryConfig(req), room: () => drained(res) };
    const isBuildKit = queryText(req, 'version') === buildKitVersion;
    if (isBuildKit && buildKit === undefined) throw noBuildKit();
    const builder = isBuildKit ? (buildKit ?? backend) : backend;
    await streamProgress(req, res, (progress, signal) => builder.build(options, req, progress, signal));
  });

  // BuildPrune: 200 | 400 unknown filter | 500 what is no number. The classic builder's cache is its images: only BuildKit's is pruned.
  router.post('/build/prune', async (req, res) => {
    const keepBytes = keepStorage(queryText(req, 'keep-storage'));
    const filters = queryFilters(req, cacheFilters, {
      code: 'Internal',
      prefix: 'could not parse filters: ',
      unknownPrefix: failedPrune,
    });
    checkCacheFilters(filters);
    const options = { all: queryBool(req, 'all'), filters, keepBytes };
    const pruned = await buildKit?.prune(options, clientSignal(req, res));
    sendJson(res, 200, pruned ?? { CachesDeleted: null, SpaceReclaimed: 0 });
  });

  return router;
}

/** Without what the request's version doesn't know. */
function buildQuery(request: Request): URLSearchParams {
  const query = new URLSearchParams(queryOf(request));
  if (!holds('buildPulls', request)) query.delete('pull');
  if (!holds('imagesHavePlatforms', request)) query.delete('platform');
  return query;
}

/** What dockerd says of values before it looks at its cache. */
function checkCacheFilters(filters: Filters): void {
  const ages = ageFilters.filter((name) => (filters.get(name) ?? []).length > 0);
  if (ages.length > 1) refusePrune('conflicting filters: "until" and "unused-for"');
  for (const name of ages) {
    const values = filters.get(name) ?? [];
    if (values.length > 1) refusePrune(oneValueOnly);
    const problem = values[0] === undefined ? undefined : goDurationProblem(values[0]);
    if (problem === undefined) continue;
    throw new DaemonError(
      'Internal',
      `${failedPrune}"${name}" filter expects a duration (e.g., '24h'): ${problem}`,
    );
  }
  if (cacheFields.some((name) => (filters.get(name) ?? []).length > 1)) refusePrune(oneValueOnly);
}

function refusePrune(message: string): never {
  throw new DaemonError('InvalidParameter', `${failedPrune}${message}`);
}

function keepStorage(text: string): number {
  if (text === '') return 0;
  if (/^[+-]?\d+$/.test(text)) return Math.max(0, Number(text));
  throw new DaemonError(
    'Internal',
    `keep-storage is in bytes and expects an integer, got ${text}: strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`,
  );
}
