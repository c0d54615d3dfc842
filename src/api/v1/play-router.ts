// /v1/play: Kubernetes manifests as the body, YAML or JSON.

import { Router } from 'express';
import { readBody } from '../http/body';
import { queryBool, queryOf } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import { clientSignal } from '../http/response-stream';
import type { PlayBackend } from './backend';

/** To be asked before Docker's router, which takes `/v1` for a version. */
export function playRouter(plays: PlayBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // 200
  router.get('/v1/play', (_req, res) => sendJson(res, 200, plays.list()));

  // 201 when the Pods exist; they start behind | 400 | 404 no such image or claim | 409 played already
  router.post('/v1/play', async (req, res) => {
    const text = (await readBody(req)).toString();
    const start = queryOf(req).get('start') === null || queryBool(req, 'start');
    const reply = await plays.play(
      text,
      { replace: queryBool(req, 'replace'), start },
      clientSignal(req, res),
    );
    sendJson(res, 201, reply);
  });

  // 204 | 400 | 404 nothing of it is played
  router.post('/v1/down', async (req, res) => {
    const text = (await readBody(req)).toString();
    await plays.down(text, { force: queryBool(req, 'force'), volumes: queryBool(req, 'volumes') });
    sendStatus(res, 204);
  });

  return router;
}
