// v1.41/: Docker's API, a file for each resource; all it knows of the engine is backend.ts.
//
// All operations of API 1.41, and what every one of them has: identity headers, the version in the path, errors.

import { Router } from 'express';
import type { NextFunction, Request, Response } from 'express';
import { advertisedApiVersion, maximumApiVersion, minimumApiVersion } from '../../docker/api-versions';
import { DaemonError } from '../../errors';
import { compareVersions, parseVersion, setRequestVersion } from './api-version';
import { archiveRoutes } from './archives';
import type { Backend } from './backend';
import { buildRoutes } from './build';
import { buildKitRoutes } from './buildkit';
import { containerStreamRoutes } from './container-streams';
import { checkpointRoutes } from './checkpoints';
import { containerRoutes } from './containers';
import { sendError } from './error-handler';
import { execRoutes } from './exec';
import { imageRoutes } from './images';
import { networkRoutes } from './networks';
import { sendStatus } from '../http/reply';
import { pluginRoutes, swarmRoutes } from './swarm';
import { systemRoutes } from './system';
import { volumeRoutes } from './volumes';

const minimum = parseVersion(minimumApiVersion);
const maximum = parseVersion(maximumApiVersion);
const versionPrefix = /^\/v(\d[\d.]*)(?=\/)/;

/** `daemonVersion` goes into the Server header, `experimental` into Docker-Experimental, the builder into the ping's Builder-Version. */
export interface RouterOptions {
  readonly daemonVersion: string;
  readonly experimental?: boolean;
  readonly preferredBuilder?: 'classic' | 'buildkit';
}

/** The whole Docker API. */
export function dockerApiRouter(
  backend: Backend,
  { daemonVersion, experimental = false, preferredBuilder }: RouterOptions,
): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const server = `Caisson/${daemonVersion} (linux)`;

  router.use((req, res, next) => {
    res.setHeader('Api-Version', advertisedApiVersion);
    res.setHeader('Docker-Experimental', String(experimental));
    res.setHeader('Ostype', 'linux');
    res.setHeader('Server', server);
    if (takeVersion(req, res, experimental)) next();
  });
  router.use(
    checkpointRoutes(backend.containers, { experimental }),
    containerRoutes(backend.containers),
    containerStreamRoutes(backend.containers),
    systemRoutes(backend.system, preferredBuilder),
    execRoutes(backend.exec),
    imageRoutes(backend.images, backend.containers),
    networkRoutes(backend.networks),
    volumeRoutes(backend.volumes),
    archiveRoutes(backend.containers),
    buildRoutes(backend.builds, backend.buildKit),
    buildKitRoutes(backend.buildKit),
    swarmRoutes(),
    pluginRoutes(),
  );
  router.use((_req, res) => {
    throw pageNotFound(res);
  });
  return router;
}

/** Express takes the function with four parameters for an error handler. */
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- the fourth parameter is what makes it a handler of errors
export function errorHandler(error: unknown, req: Request, res: Response, _next: NextFunction): void {
  sendError(req, res, error);
}

/**
 * Takes `/v1.41` off the path and checks it. False if the request is answered: with OPTIONS, an empty 200. Throws
 * InvalidParameter for a version out of range, and NotFound for HEAD of what only GET has.
 */
function takeVersion(request: Request, response: Response, experimental: boolean): boolean {
  const match = versionPrefix.exec(request.url);
  if (match !== null) {
    const text = match[1] ?? '';
    const version = parseVersion(text);
    setRequestVersion(request, version);
    // dockerd tells of itself only after it has looked at the version.
    response.removeHeader('Docker-Experimental');
    if (compareVersions(version, maximum) > 0) {
      throw new DaemonError(
        'InvalidParameter',
        `client version ${text} is too new. Maximum supported API version is ${maximumApiVersion}`,
      );
    }
    if (compareVersions(version, minimum) < 0) {
      throw new DaemonError(
        'InvalidParameter',
        `client version ${text} is too old. Minimum supported API version is ${minimumApiVersion}, ` +
          'please upgrade your client to a newer version',
      );
    }
    response.setHeader('Docker-Experimental', String(experimental));
    request.url = request.url.slice(match[0].length);
  }
  if (request.method === 'OPTIONS') {
    sendStatus(response, 200);
    return false;
  }
  if (request.method === 'HEAD' && !/^\/(_ping|containers\/[^/]+\/archive)(\?|$)/.test(request.url)) {
    throw pageNotFound(response);
  }
  return true;
}

/** What no handler is there for goes out without the headers that handlers add. */
function pageNotFound(response: Response): DaemonError {
  response.removeHeader('Docker-Experimental');
  response.removeHeader('Ostype');
  return new DaemonError('NotFound', 'page not found');
}
