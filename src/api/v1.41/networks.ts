// `/networks/*`.

import { Router } from 'express';
import { DaemonError } from '../../errors';
import { isAtLeast } from './api-version';
import type { NetworkBackend } from './backend';
import { readJson } from '../http/body';
import { queryFilters } from './filters';
import { holds } from './old-versions';
import { requireNoGatewayPriority } from './version-rules';
import { networkConnect, networkCreate, networkDisconnect } from '../../docker/request-schemas';
import { queryStrictBool, queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import type { NetworkConnectBody, NetworkCreateBody, NetworkDisconnectBody } from '../../docker/types';

const listFilters = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const pruneFilters = ['label', 'label!', 'until'];

export function networkRoutes(backend: NetworkBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // NetworkList: 200 | 400 unknown filter
  router.get(['/networks', '/networks/'], async (req, res) => {
    const detailed = !holds('networkListIsBrief', req);
    sendJson(res, 200, await backend.list(queryFilters(req, listFilters), { detailed }));
  });

  // NetworkInspect: 200 | 400 | 404
  router.get('/networks/:id', async (req, res) => {
    const options = { verbose: queryStrictBool(req, 'verbose'), scope: queryText(req, 'scope') };
    sendJson(res, 200, await backend.inspect(req.params.id, options));
  });

  // NetworkCreate: 201 | 400 | 403 | 404 driver not found | 409 name in use
  router.post('/networks/create', async (req, res) => {
    // here and below the schema decides the type
    const body = (await readJson(req, networkCreate)) as NetworkCreateBody;
    if (body.EnableIPv4 === false)
      throw new DaemonError('NotImplemented', 'a network without IPv4 is not available');
    // since 1.44 names are looked at without being asked to, and newer clients don't ask
    if (isAtLeast(req, 44)) body.CheckDuplicate = true;
    sendJson(res, 201, await backend.create(body));
  });

  // NetworkConnect: 200 | 403 | 404
  router.post('/networks/:id/connect', async (req, res) => {
    const body = (await readJson(req, networkConnect)) as NetworkConnectBody;
    requireNoGatewayPriority(body.EndpointConfig);
    await backend.connect(req.params.id, body);
    sendStatus(res, 200);
  });

  // NetworkDisconnect: 200 | 403 | 404
  router.post('/networks/:id/disconnect', async (req, res) => {
    await backend.disconnect(
      req.params.id,
      (await readJson(req, networkDisconnect)) as NetworkDisconnectBody,
    );
    sendStatus(res, 200);
  });

  // NetworkDelete: 204 | 403 pre-defined | 404
  router.delete('/networks/:id', async (req, res) => {
    await backend.remove(req.params.id);
    sendStatus(res, 204);
  });

  // NetworkPrune: 200 | 400 unknown filter
  router.post('/networks/prune', async (req, res) => {
    sendJson(res, 200, await backend.prune(queryFilters(req, pruneFilters)));
  });

  return router;
}
