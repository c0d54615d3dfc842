// What the daemon tells of itself below /debug while it is in debug mode: counters, and a CPU profile.

import { Session } from 'node:inspector/promises';
import { Router, type RequestHandler } from 'express';
import { pause } from '../async/pause';
import { DaemonError } from '../errors';
import { sendJson } from './http/reply';
import { clientSignal } from './http/response-stream';

const longestProfileSeconds = 120;

/** `isOn` is asked at each request: a reload may change it. Off: 404, as dockerd. */
export function debugRouter(isOn: () => boolean, variables: () => Record<string, unknown>): RequestHandler {
  const router = Router();
  router.use((_req, res, next) => {
    if (isOn()) next();
    else sendJson(res, 404, { message: 'page not found' });
  });
  router.get('/vars', (_req, res) => {
    sendJson(res, 200, {
      memstats: process.memoryUsage(),
      resources: countBy(process.getActiveResourcesInfo()),
      uptimeSeconds: process.uptime(),
      usage: process.resourceUsage(),
      ...variables(),
    });
  });
  // A .cpuprofile, for a browser's developer tools. `seconds`: 30 unless given.
  router.get('/pprof/profile', async (req, res) => {
    const seconds = Number(new URL(req.url, 'http://daemon').searchParams.get('seconds') ?? 30);
    if (!(seconds > 0 && seconds <= longestProfileSeconds)) {
      throw new DaemonError(
        'InvalidParameter',
        `seconds must be more than 0 and at most ${longestProfileSeconds}`,
      );
    }
    const session = new Session();
    session.connect();
    try {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
      await pause(seconds * 1000, clientSignal(req, res));
      const { profile } = await session.post('Profiler.stop');
      if (!res.destroyed) sendJson(res, 200, profile);
    } finally {
      session.disconnect();
    }
  });
  return router;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
