// Checkpoints of containers. dockerd counts them as experimental: a daemon that isn't told to allow that refuses them.

import { Router } from 'express';
import { DaemonError } from '../../errors';
import type { CheckpointBackend } from './backend';
import { readJson } from '../http/body';
import { checkpointCreate } from '../../docker/request-schemas';
import { queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import type { CheckpointCreateBody } from '../../docker/types';

export function checkpointRoutes(backend: CheckpointBackend, options: { experimental: boolean }): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const requireExperimental = (): void => {
    if (options.experimental) return;
    throw new DaemonError(
      'NotImplemented',
      'This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.',
    );
  };

  // CheckpointCreate: 201 | 404 | 500
  router.post('/containers/:id/checkpoints', async (req, res) => {
    requireExperimental();
    // the schema decides the type
    const body = (await readJson(req, checkpointCreate)) as CheckpointCreateBody;
    await backend.checkpointCreate(req.params.id, {
      name: body.CheckpointID ?? '',
      directory: body.CheckpointDir ?? '',
      exit: body.Exit ?? false,
    });
    sendStatus(res, 201);
  });

  // CheckpointList: 200, null for none | 404 | 500
  router.get('/containers/:id/checkpoints', async (req, res) => {
    requireExperimental();
    const names = await backend.checkpointList(req.params.id, queryText(req, 'dir'));
    sendJson(res, 200, names.length === 0 ? null : names.map((Name) => ({ Name })));
  });

  // CheckpointDelete: 204 | 404 | 500
  router.delete('/containers/:id/checkpoints/:checkpoint', async (req, res) => {
    requireExperimental();
    await backend.checkpointDelete(req.params.id, req.params.checkpoint, queryText(req, 'dir'));
    sendStatus(res, 204);
  });

  return router;
}
