// `/build`: the classic builder, and pruning what it keeps.

import { Router } from 'express';
import { DaemonError } from '../../errors';
import { goDurationProblem } from '../../go/duration';
import { goQuote } from '../../go/quote';
import type { Filters, BuildBackend } from './backend';
import { queryFilters } from './filters';
import { registryConfig } from './image-request';
import { streamProgress } from './progress-stream';
import { queryOf, queryText } from '../http/query';
import { sendJson } from '../http/reply';
import { drained } from '../http/response-stream';

const failedPrune = 'failed to prune build cache: ';
const oneValueOnly = 'filters expect only one value';
const ageFilters = ['until', 'unused-for'];
/** What BuildKit knows of a record of its cache. */
const cacheFields = ['id', 'parent', 'type', 'description', 'inuse', 'shared', 'private'];
const cacheFilters = [...ageFilters, ...cacheFields, 'label', 'label!'];

export function buildRoutes(backend: BuildBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ImageBuild: 200 | 400
  router.post('/build', async (req, res) => {
    const options = { query: queryOf(req), auths: registryConfig(req), room: () => drained(res) };
    await streamProgress(req, res, (progress, signal) => backend.build(options, req, progress, signal));
  });

  // BuildPrune: 200 | 400 unknown filter | 500 what is no number. The classic builder's cache is its images: nothing is pruned.
  router.post('/build/prune', (req, res) => {
    checkKeepStorage(queryText(req, 'keep-storage'));
    checkCacheFilters(
      queryFilters(req, cacheFilters, {
        code: 'Internal',
        prefix: 'could not parse filters: ',
        unknownPrefix: failedPrune,
      }),
    );
    sendJson(res, 200, { CachesDeleted: null, SpaceReclaimed: 0 });
  });

  return router;
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

function checkKeepStorage(text: string): void {
  if (text === '' || /^[+-]?\d+$/.test(text)) return;
  throw new DaemonError(
    'Internal',
    `keep-storage is in bytes and expects an integer, got ${text}: strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`,
  );
}
