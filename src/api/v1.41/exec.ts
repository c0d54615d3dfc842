// `/containers/{id}/exec` and `/exec/*`.

import { Router } from 'express';
import type { Response } from 'express';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { requestVersion } from './api-version';
import type { ExecBackend } from './backend';
import { readJson } from '../http/body';
import { holds } from './old-versions';
import { execCreate, execStart } from '../../docker/request-schemas';
import { queryTerminalSize } from '../http/query';
import { openRawStream } from './raw-stream';
import type { RawStream } from './raw-stream';
import { sendJson, sendStatus } from '../http/reply';
import type { ExecCreateBody, ExecStartBody } from '../../docker/types';
import { applyVersionToExec } from './version-rules';

export function execRoutes(backend: ExecBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ContainerExec: 201 | 400 no command | 404 | 409 not running
  router.post('/containers/:id/exec', async (req, res) => {
    // the schema decides the type
    const body = (await readJson(req, execCreate)) as ExecCreateBody;
    applyVersionToExec(body, requestVersion(req));
    if ((body.Cmd ?? []).length === 0) throw new DaemonError('InvalidParameter', 'No exec command specified');
    sendJson(res, 201, await backend.create(req.params.id, body));
  });

  // ExecStart: 200 detached, or without Upgrade | 101 | 400 | 404 | 409 not running
  router.post('/exec/:id/start', async (req, res) => {
    if (!holds('execStartIsJson', req)) req.headers['content-type'] = 'application/json';
    const body = (await readJson(req, execStart)) as ExecStartBody;
    applyVersionToExec(body, requestVersion(req));
    const size = body.ConsoleSize ?? undefined;
    const options = {
      detach: body.Detach ?? false,
      tty: body.Tty ?? false,
      ...(size === undefined ? {} : { consoleSize: { rows: size[0], columns: size[1] } }),
    };
    let stream: RawStream | undefined;
    try {
      // framed as the request says, whatever the exec has: dockerd does so, and SDKs read what they asked for
      await backend.start(req.params.id, options, () => {
        stream = openRawStream(req, res, {
          stdin: true,
          terminal: options.tty,
          extraHeaders: ownHeaders(res),
        });
        return stream.client;
      });
    } catch (error) {
      if (stream === undefined) throw error;
      log.info('exec failed', { execId: req.params.id, error: errorMessage(error) });
      await stream.client.write('stdout', Buffer.from(`${errorMessage(error)}\r\n`));
    } finally {
      stream?.finish();
    }
    if (stream === undefined) sendStatus(res, 200);
  });

  // ExecInspect: 200 | 404
  router.get('/exec/:id/json', async (req, res) => {
    sendJson(res, 200, await backend.inspect(req.params.id));
  });

  // ExecResize: 200 | 400 | 404
  router.post('/exec/:id/resize', async (req, res) => {
    await backend.resize(req.params.id, queryTerminalSize(req));
    sendStatus(res, 200);
  });

  return router;
}

/** dockerd repeats its usual headers here, and not in attach. */
function ownHeaders(response: Response): string[] {
  return Object.entries(response.getHeaders()).map(
    ([name, value]) => `${name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())}: ${String(value)}`,
  );
}
