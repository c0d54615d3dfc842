// `/containers/*` but for the streams (container-streams.ts) and archives (archives.ts).

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError, isDaemonError } from '../../errors';
import { requestVersion } from './api-version';
import type { ContainerBackend } from './backend';
import { declaredLength, readLooseJson } from '../http/body';
import { createBody, hostConfigOf } from './create-body';
import { queryFilters } from './filters';
import { containerListFilters } from '../../docker/container';
import { containerCreate, containerUpdate, type LooseCreateBody } from '../../docker/request-schemas';
import { holds } from './old-versions';
import { inspectOf119, inspectOf120 } from './old-shapes';
import { optionalText, queryBool, queryInt, queryTerminalSize, queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import type { ContainerCreateBody, ContainerUpdateBody, HostConfig } from '../../docker/types';
import { applyVersionToCreate } from './version-rules';

const pruneFilters = ['label', 'label!', 'until'];
/** A JSON object that says anything has at least this many characters. */
const longestEmptyBody = 7;

/** Handlers parse, make one backend call and write the reply; they hold no state. */
export function containerRoutes(backend: ContainerBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ContainerList: 200 | 400 unknown filter
  router.get('/containers/json', async (req, res) => {
    const containers = await backend.list({
      all: queryBool(req, 'all'),
      limit: queryInt(req, 'limit') ?? 0,
      size: queryBool(req, 'size'),
      filters: queryFilters(req, containerListFilters),
    });
    sendJson(res, 200, containers);
  });

  // ContainerCreate: 201 | 400 | 404 no such image | 409 name already in use
  router.post('/containers/create', async (req, res) => {
    const body = await readCreateBody(req);
    const created = await backend.create(body, {
      ...optionalText(req, 'name', 'name'),
      ...(holds('createHasPlatform', req) ? optionalText(req, 'platform', 'platform') : {}),
      version: requestVersion(req),
    });
    sendJson(res, 201, created);
  });

  // ContainerInspect: 200 | 404
  router.get('/containers/:id/json', async (req, res) => {
    sendJson(res, 200, await inspect(backend, req, req.params.id));
  });

  // The same for what the container `parent` is linked to under the name `alias`.
  router.get('/containers/:parent/:alias/json', async (req, res) => {
    const { parent, alias } = req.params;
    sendJson(res, 200, await inspect(backend, req, `${parent}/${alias}`));
  });

  // ContainerTop: 200 | 404 | 409 not running
  router.get('/containers/:id/top', async (req, res) => {
    sendJson(res, 200, await backend.top(req.params.id, queryText(req, 'ps_args') || '-ef'));
  });

  // ContainerResize: 200 | 400 | 404 | 409 not running
  router.post('/containers/:id/resize', async (req, res) => {
    await backend.resize(req.params.id, queryTerminalSize(req));
    sendStatus(res, 200);
  });

  // ContainerStart: 204 | 304 already started | 400 with a body, or command not found | 404
  router.post('/containers/:id/start', async (req, res) => {
    const hostConfig = await readStartBody(req);
    await backend.start(req.params.id, {
      ...(hostConfig === undefined ? {} : { hostConfig }),
      ...optionalText(req, 'detachKeys', 'detachKeys'),
      ...optionalText(req, 'checkpoint', 'checkpoint'),
      ...optionalText(req, 'checkpoint-dir', 'checkpointDir'),
    });
    sendStatus(res, 204);
  });

  // ContainerStop: 204 | 304 already stopped | 404. `t` is seconds before SIGKILL.
  router.post('/containers/:id/stop', async (req, res) => {
    await backend.stop(req.params.id, stopOptions(req));
    sendStatus(res, 204);
  });

  // ContainerRestart: 204 | 404
  router.post('/containers/:id/restart', async (req, res) => {
    await backend.restart(req.params.id, stopOptions(req));
    sendStatus(res, 204);
  });

  // ContainerKill: 204 | 400 invalid signal | 404 | 409 not running
  router.post('/containers/:id/kill', async (req, res) => {
    await killContainer(backend, req, req.params.id);
    sendStatus(res, 204);
  });

  // ContainerUpdate: 200 | 400 | 404
  router.post('/containers/:id/update', async (req, res) => {
    // the schema decides the type
    const body = (await readLooseJson(req, containerUpdate)) as ContainerUpdateBody;
    sendJson(res, 200, await backend.update(req.params.id, body));
  });

  // ContainerRename: 204 | 400 no name | 404 | 409 name in use
  router.post('/containers/:id/rename', async (req, res) => {
    await backend.rename(req.params.id, queryText(req, 'name'));
    sendStatus(res, 204);
  });

  // ContainerPause: 204 | 404 | 409 not running
  router.post('/containers/:id/pause', async (req, res) => {
    await backend.pause(req.params.id);
    sendStatus(res, 204);
  });

  // ContainerUnpause: 204 | 404 | 500 not paused
  router.post('/containers/:id/unpause', async (req, res) => {
    await backend.unpause(req.params.id);
    sendStatus(res, 204);
  });

  // ContainerDelete: 204 | 400 | 404 | 409 running
  router.delete('/containers/:id', async (req, res) => {
    await backend.remove(req.params.id, {
      force: queryBool(req, 'force'),
      volumes: queryBool(req, 'v'),
      link: queryBool(req, 'link'),
    });
    sendStatus(res, 204);
  });

  // A link: `docker rm --link parent/alias`.
  router.delete('/containers/:parent/:alias', async (req, res) => {
    const { parent, alias } = req.params;
    const options = { force: queryBool(req, 'force'), volumes: queryBool(req, 'v') };
    await backend.remove(`${parent}/${alias}`, { ...options, link: queryBool(req, 'link') });
    sendStatus(res, 204);
  });

  // ContainerPrune: 200 | 400 unknown filter
  router.post('/containers/prune', async (req, res) => {
    sendJson(res, 200, await backend.prune(queryFilters(req, pruneFilters, { code: 'InvalidParameter' })));
  });

  return router;
}

/** In the shape that the request's version has. */
async function inspect(backend: ContainerBackend, request: Request, ref: string): Promise<object> {
  const inspected = await backend.inspect(ref, { size: queryBool(request, 'size') });
  if (holds('inspectHasNetworks', request)) return inspected;
  return holds('inspectHasMounts', request) ? inspectOf120(inspected) : inspectOf119(inspected);
}

/** To an old client one that does not run is killed. */
async function killContainer(backend: ContainerBackend, request: Request, ref: string): Promise<void> {
  try {
    await backend.kill(ref, optionalText(request, 'signal', 'signal'));
  } catch (error) {
    if (holds('killRefusesStopped', request) || !isDaemonError(error, 'Conflict')) throw error;
  }
}

/** The HostConfig that an old client starts a container with. Throws InvalidParameter for newer ones. */
async function readStartBody(request: Request): Promise<HostConfig | undefined> {
  const length = declaredLength(request);
  if (length >= 0 && length <= longestEmptyBody) return undefined;
  if (holds('startTakesNoHostConfig', request)) {
    throw new DaemonError(
      'InvalidParameter',
      'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
    );
  }
  // the schema decides the type
  return hostConfigOf((await readLooseJson(request, containerCreate)) as LooseCreateBody);
}

function stopOptions(request: Request): { timeoutSeconds?: number; signal?: string } {
  const timeoutSeconds = queryInt(request, 't');
  return {
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...optionalText(request, 'signal', 'signal'),
  };
}

async function readCreateBody(request: Request): Promise<ContainerCreateBody> {
  // the schema decides the type
  const body = createBody((await readLooseJson(request, containerCreate)) as LooseCreateBody);
  applyVersionToCreate(body, requestVersion(request));
  return body;
}
