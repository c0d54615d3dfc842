// `/build`, and BuildKit's `/session` and `/grpc`, which are refused so that clients use the legacy builder.

import { Router } from 'express';
import { DaemonError } from '../../errors';
import type { ImageBackend } from './backend';
import { queryFilters } from './filters';
import { isUpgrade } from './hijack';
import { registryConfig } from './image-request';
import { notImplemented, supported } from './not-implemented';
import { streamProgress } from './progress-stream';
import { queryBool, queryIntOrZero, queryOf, queryText } from './query';
import { sendJson } from './reply';

export function buildRoutes(backend: ImageBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ImageBuild: 200 | 400
  router.post('/build', async (req, res) => {
    const build = supported(backend.build?.bind(backend), 'build');
    const options = { query: queryOf(req), auths: registryConfig(req) };
    await streamProgress(req, res, (progress, signal) => build(options, req, progress, signal));
  });

  // BuildPrune: 200
  router.post('/build/prune', async (req, res) => {
    const prune = backend.pruneBuildCache?.bind(backend);
    // there is no cache where there is no builder, and `docker system prune` asks for it
    const pruned = (await prune?.({
      all: queryBool(req, 'all'),
      keepStorage: queryIntOrZero(req, 'keep-storage'),
      filters: queryFilters(req, undefined),
    })) ?? { CachesDeleted: null, SpaceReclaimed: 0 };
    sendJson(res, 200, pruned);
  });

  // BuildCancel: 500 no id. Nothing is left to cancel once the client's connection is closed.
  router.post('/build/cancel', (req) => {
    if (queryText(req, 'id') === '') throw new DaemonError('Internal', 'build ID not provided');
    throw notImplemented('cancelling a build by its id');
  });

  // Session: 400 without Upgrade | 501
  router.post('/session', (req) => {
    if (!isUpgrade(req)) throw new DaemonError('InvalidParameter', 'no upgrade proto in request');
    throw notImplemented('BuildKit');
  });

  router.post('/grpc', (req) => {
    if (!isUpgrade(req)) throw new DaemonError('Internal', 'no upgrade proto in request');
    throw notImplemented('BuildKit');
  });

  return router;
}
