// Swarm's groups, answered as by a dockerd that is in no swarm, and plugins, of which there are none.

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError, type ErrorCode, errorMessage } from '../../errors';
import { goQuote } from '../../go/quote';
import { readJson } from '../http/body';
import { queryFilters } from './filters';
import { list, type Schema, stringList, struct } from '../../go/json-schema';
import { notImplemented } from './not-implemented';
import { queryBool, queryText, requiredInt } from '../http/query';
import { sendJson } from '../http/reply';

const notManager =
  'This node is not a swarm manager. ' +
  'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

const managerRoutes = {
  get: [
    '/swarm',
    '/swarm/unlockkey',
    '/nodes',
    '/nodes/:id',
    '/services',
    '/services/:id',
    '/tasks',
    '/tasks/:id',
    '/secrets',
    '/secrets/:id',
    '/configs',
    '/configs/:id',
  ],
  delete: ['/nodes/:id', '/services/:id', '/secrets/:id', '/configs/:id'],
};

/** Bodies are looked at only so far that a malformed one is called so. */
const updateBodies = {
  swarm: struct<object>('swarm.Spec', {}),
  node: struct<object>('swarm.NodeSpec', {}),
  service: struct<object>('swarm.ServiceSpec', {}),
  secret: struct<object>('swarm.SecretSpec', {}),
  config: struct<object>('swarm.ConfigSpec', {}),
};

const createBodies = {
  '/swarm/unlock': struct<object>('swarm.UnlockRequest', {}),
  '/services/create': updateBodies.service,
  '/secrets/create': updateBodies.secret,
  '/configs/create': updateBodies.config,
};

export function swarmRoutes(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const refuse = () => {
    throw new DaemonError('Unavailable', notManager);
  };

  // Swarm*, Node*, Service*, Task*, Secret*, Config*: 503
  router.get(managerRoutes.get, refuse);
  router.delete(managerRoutes.delete, refuse);

  // SwarmUnlock, ServiceCreate, SecretCreate, ConfigCreate: 400 malformed body | 503
  for (const [path, body] of Object.entries(createBodies)) {
    router.post(path, async (req) => {
      await readJson(req, body);
      refuse();
    });
  }

  // SwarmInit, SwarmJoin: 400 malformed body | 501
  router.post(['/swarm/init', '/swarm/join'], async (req) => {
    await readJson(req, struct<object>('swarm.InitRequest', {}));
    throw notImplemented('swarm mode');
  });

  // SwarmLeave: 503
  router.post('/swarm/leave', () => {
    throw new DaemonError('Unavailable', 'This node is not part of a swarm');
  });

  // SwarmUpdate, NodeUpdate, ServiceUpdate, SecretUpdate, ConfigUpdate: 400 malformed body, no version | 503
  router.post('/swarm/update', (req) => refuseUpdate(req, 'swarm'));
  router.post('/nodes/:id/update', (req) => refuseUpdate(req, 'node'));
  router.post('/services/:id/update', (req) => refuseUpdate(req, 'service'));
  router.post('/secrets/:id/update', (req) => refuseUpdate(req, 'secret'));
  router.post('/configs/:id/update', (req) => refuseUpdate(req, 'config'));

  // ServiceLogs, TaskLogs: 500 no stream chosen | 503
  router.get(['/services/:id/logs', '/tasks/:id/logs'], (req) => {
    if (!queryBool(req, 'stdout') && !queryBool(req, 'stderr')) {
      throw new DaemonError('Internal', 'Bad parameters: you must choose at least one stream');
    }
    return refuse();
  });

  return router;
}

async function refuseUpdate(request: Request, kind: keyof typeof updateBodies): Promise<never> {
  await readJson(request, updateBodies[kind]);
  const version = queryText(request, 'version');
  if (!/^\d+$/.test(version)) {
    const short = kind === 'secret' || kind === 'config';
    const reason = ` '${version}': strconv.ParseUint: parsing ${goQuote(version)}: invalid syntax`;
    throw new DaemonError('InvalidParameter', `invalid ${kind} version${short ? '' : reason}`);
  }
  throw new DaemonError('Unavailable', notManager);
}

export function pluginRoutes(): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // PluginList: 200 | 400 unknown filter
  router.get('/plugins', (req, res) => {
    queryFilters(req, ['capability', 'enabled']);
    sendJson(res, 200, []);
  });

  // GetPluginPrivileges, PluginPull, PluginCreate: 501
  router.get('/plugins/privileges', refusePlugins);
  router.post(['/plugins/pull', '/plugins/create'], refusePlugins);

  // PluginInspect, PluginDelete, PluginEnable, PluginDisable, PluginUpgrade, PluginPush, PluginSet: 404
  router.get('/plugins/*name/json', refuseName);
  router.delete('/plugins/*name', refuseName);
  router.post('/plugins/*name/enable', (req) => {
    requiredInt(req, 'timeout', 'Internal');
    refuseName(req);
  });
  router.post('/plugins/*name/upgrade', async (req) => {
    const prefix = 'failed to parse privileges: ';
    await readList(
      req,
      list(struct<object>('types.PluginPrivilege', {}), 'types.PluginPrivileges'),
      'Internal',
      prefix,
    );
    const name = pluginName(req);
    throw noSuchPlugin(name.includes(':') ? name : `${name}:latest`);
  });
  router.post('/plugins/*name/set', async (req) => {
    await readList(req, stringList, 'InvalidParameter', '');
    refuseName(req);
  });
  router.post('/plugins/*name/disable', refuseName);
  router.post('/plugins/*name/push', refuseName);

  return router;
}

function refusePlugins(): never {
  throw notImplemented('installing plugins');
}

/** A malformed body is called so, with `prefix`; it is not used. */
async function readList(request: Request, schema: Schema, code: ErrorCode, prefix: string): Promise<void> {
  try {
    await readJson(request, schema);
  } catch (error) {
    throw new DaemonError(code, `${prefix}${errorMessage(error)}`, { cause: error });
  }
}

function refuseName(request: Request): never {
  throw noSuchPlugin(pluginName(request));
}

function pluginName(request: Request): string {
  const name: unknown = request.params['name'];
  return Array.isArray(name) ? name.join('/') : String(name);
}

function noSuchPlugin(name: string): DaemonError {
  return new DaemonError('NotFound', `plugin ${goQuote(name)} not found`);
}
