// `/volumes/*`.

import { Router } from 'express';
import type { VolumeBackend } from './backend';
import { readJson } from '../http/body';
import { queryFilters } from './filters';
import { volumeCreate } from '../../docker/request-schemas';
import { queryBool } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import type { VolumeCreateBody } from '../../docker/types';

const listFilters = ['dangling', 'driver', 'label', 'name'];
const malformedList = { code: 'InvalidParameter', prefix: 'error reading volume filters: ' } as const;
const pruneFilters = ['label', 'label!'];

export function volumeRoutes(backend: VolumeBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // VolumeList: 200 | 400 unknown filter
  router.get('/volumes', async (req, res) => {
    sendJson(res, 200, await backend.list(queryFilters(req, listFilters, malformedList)));
  });

  // VolumeInspect: 200 | 404
  router.get('/volumes/:name', async (req, res) => {
    sendJson(res, 200, await backend.inspect(req.params.name));
  });

  // VolumeCreate: 201 | 400
  router.post('/volumes/create', async (req, res) => {
    // the schema decides the type
    sendJson(res, 201, await backend.create((await readJson(req, volumeCreate)) as VolumeCreateBody));
  });

  // VolumeDelete: 204 | 404 | 409 in use
  router.delete('/volumes/:name', async (req, res) => {
    await backend.remove(req.params.name, { force: queryBool(req, 'force') });
    sendStatus(res, 204);
  });

  // VolumePrune: 200 | 400 unknown filter
  router.post('/volumes/prune', async (req, res) => {
    sendJson(res, 200, await backend.prune(queryFilters(req, pruneFilters)));
  });

  return router;
}
