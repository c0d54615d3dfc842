// The daemon itself: ping, version, info, auth, events, disk usage.

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError } from '../../errors';
import type { SystemBackend } from './backend';
import { decodeBody, readBody } from '../http/body';
import { queryFilters } from './filters';
import { infoOf124 } from './old-shapes';
import { holds } from './old-versions';
import { authConfig } from '../../docker/request-schemas';
import { queryText } from '../http/query';
import { sendJson } from '../http/reply';
import { clientSignal, endStream, startStream, writeChunk } from '../http/response-stream';
import { parseTimestampQuery } from './timestamp-query';
import type { AuthConfig, EventMessage } from '../../docker/types';

const pingHeaders = {
  'Cache-Control': 'no-cache, no-store, must-revalidate',
  Pragma: 'no-cache',
  'Content-Type': 'text/plain; charset=utf-8',
};

export function systemRoutes(backend: SystemBackend, preferredBuilder?: 'classic' | 'buildkit'): Router {
  const router = Router({ caseSensitive: true, strict: true });

  const builder =
    preferredBuilder === undefined ? {} : { 'Builder-Version': preferredBuilder === 'buildkit' ? '2' : '1' };

  // SystemPingHead: 200
  router.head('/_ping', (_req, res) => {
    res.writeHead(200, { ...pingHeaders, ...builder, 'Content-Length': 0 }).end();
  });

  // SystemPing: 200
  router.get('/_ping', (_req, res) => {
    res.writeHead(200, { ...pingHeaders, ...builder, 'Content-Length': 2 }).end('OK');
  });

  // SystemInfo: 200
  router.get('/info', async (req, res) => {
    const info = await backend.info();
    sendJson(res, 200, holds('securityOptionsInPairs', req) ? info : infoOf124(info));
  });

  // SystemVersion: 200
  router.get('/version', async (_req, res) => {
    sendJson(res, 200, await backend.version());
  });

  // SystemDataUsage: 200
  router.get('/system/df', async (_req, res) => {
    sendJson(res, 200, await backend.diskUsage());
  });

  // SystemAuth: 200 | 401 wrong credentials. dockerd does not look at the body's type.
  router.post('/auth', async (req, res) => {
    // the schema decides the type
    const body = decodeBody(await readBody(req), authConfig, 'Internal', 'EOF') as AuthConfig;
    sendJson(res, 200, await backend.auth(body));
  });

  // SystemEvents: 200, its header at once | 400 since after until
  router.get('/events', async (req, res) => {
    const filters = queryFilters(req, undefined);
    const range = eventRange(req);
    const signal = clientSignal(req, res);
    const events = await backend.events({ ...range, filters }, signal);
    startStream(res, { 'Content-Type': 'application/json' });
    try {
      for await (const event of events) await writeChunk(res, eventLine(event));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    endStream(res);
  });

  return router;
}

function eventRange(request: Request): { sinceNs?: bigint; untilNs?: bigint } {
  const [since, until] = [queryText(request, 'since'), queryText(request, 'until')];
  const now = Date.now();
  const sinceNs = parseTimestampQuery(since, now);
  const untilNs = parseTimestampQuery(until, now);
  if (sinceNs !== undefined && untilNs !== undefined && sinceNs > untilNs) {
    throw new DaemonError(
      'InvalidParameter',
      `\`since\` time (${since}) cannot be after \`until\` time (${until})`,
    );
  }
  return {
    ...(sinceNs === undefined ? {} : { sinceNs }),
    ...(untilNs === undefined ? {} : { untilNs }),
  };
}

/** One event in dockerd's key order, its nanoseconds exact. */
export function eventLine(event: EventMessage): string {
  const { status, id, from, Type, Action, Actor, scope, time, timeNano } = event;
  const json = JSON.stringify({ status, id, from, Type, Action, Actor, scope, time });
  return `${json.slice(0, -1)},"timeNano":${timeNano.toString()}}\n`;
}
