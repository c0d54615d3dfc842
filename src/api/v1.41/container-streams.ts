// The parts of `/containers/*` that stream: attach, attach/ws, logs, stats, wait.

import { Router } from 'express';
import type { Request, Response } from 'express';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { isAtLeast } from './api-version';
import { isEmptySample, statsOf120 } from './old-shapes';
import { holds } from './old-versions';
import { acceptWebSocket, isWebSocketRequest } from './attach-websocket';
import type {
  AttachOptions,
  ContainerBackend,
  ContainerStreamBackend,
  LogLine,
  LogsOptions,
} from './backend';
import { declaredLength, readBody } from '../http/body';
import { parseDetachKeys } from '../../docker/detach-keys';
import { describeError } from './error-handler';
import { optionalText, queryBool, queryBoolOr, queryText } from '../http/query';
import {
  frameHeader,
  multiplexedStreamType,
  openRawStream,
  rawStreamType,
  type RawStream,
} from './raw-stream';
import { sendJson, sendStatus, sendText } from '../http/reply';
import { clientSignal, endStream, startStream, writeChunk } from '../http/response-stream';
import { parseTimestampQuery } from './timestamp-query';
import type { ContainerStats, ContainerWaitResponse } from '../../docker/types';

/** Lines at hand are gathered up to this much before they are written. */
const gatherBytes = 64 * 1024;

export function containerStreamRoutes(
  backend: ContainerStreamBackend & Pick<ContainerBackend, 'inspect' | 'wait'>,
): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ContainerAttach: 101 | 200 without Upgrade | 400 | 404. Errors are plain text, as dockerd hijacks before it looks.
  router.post('/containers/:id/attach', async (req, res) => {
    let stream: RawStream | undefined;
    try {
      const options = attachOptions(req, (name) => queryBool(req, name));
      // some clients repeat the query as a JSON body, which must not end up in stdin
      if (declaredLength(req) > 0) await readBody(req);
      await backend.attach(req.params.id, options, ({ terminal }) => {
        stream = openRawStream(req, res, { stdin: options.stdin, terminal, extraHeaders: [] });
        return stream.client;
      });
    } catch (error) {
      if (stream === undefined) sendRawError(req, res, error);
      else log.info('attach ended', { path: req.path, error: errorMessage(error) });
    } finally {
      stream?.finish();
    }
    // nothing to attach to, and no error: dockerd ends the connection without a word
    if (stream === undefined && !res.headersSent) sendStatus(res, 200);
  });

  // ContainerAttachWebsocket: 101 | 400 | 404. Before 1.42 all three streams are attached.
  router.get('/containers/:id/attach/ws', async (req, res) => {
    const choosesStreams = isAtLeast(req, 42);
    const options = attachOptions(req, (name) => !choosesStreams || queryBool(req, name));
    if (!isWebSocketRequest(req)) {
      // dockerd looks for the container before it looks at the protocol
      await backend.inspect(req.params.id, { size: false });
      sendText(res, 400, 'not websocket protocol');
      return;
    }
    let finish: (() => void) | undefined;
    try {
      await backend.attach(req.params.id, options, () => {
        const socket = acceptWebSocket(req, res, { stdin: options.stdin });
        finish = () => socket.finish();
        return socket.client;
      });
    } catch (error) {
      if (finish === undefined) throw error;
      log.info('attach ended', { path: req.path, error: errorMessage(error) });
    } finally {
      finish?.();
    }
    if (finish === undefined) sendStatus(res, 200);
  });

  // ContainerLogs: 200 | 400 no stream chosen | 404
  router.get('/containers/:id/logs', async (req, res) => {
    const options = logsOptions(req);
    const signal = clientSignal(req, res);
    const { terminal, lines } = await backend.logs(req.params.id, options, signal);
    const type = terminal ? rawStreamType : multiplexedStreamType;
    startStream(res, isAtLeast(req, 42) ? { 'Content-Type': type } : {});
    await untilClientGone(signal, () => writeLines(res, lines, !terminal));
    endStream(res);
  });

  // ContainerStats: 200 | 400 | 404
  router.get('/containers/:id/stats', async (req, res) => {
    const stream = queryBoolOr(req, 'stream', true);
    const oneShot = holds('statsOnce', req) && queryBool(req, 'one-shot');
    if (stream && oneShot) {
      throw new DaemonError('InvalidParameter', 'cannot have stream=true and one-shot=true');
    }
    const signal = clientSignal(req, res);
    const samples = await backend.stats(req.params.id, { stream, oneShot }, signal);
    const shape = holds('statsByInterface', req) ? (sample: ContainerStats) => sample : statsOf120;
    if (!stream) {
      for await (const sample of samples) {
        sendJson(res, 200, isEmptySample(sample) ? sample : shape(sample));
        return;
      }
      if (!signal.aborted) throw new DaemonError('Internal', 'no statistics');
      return;
    }
    startStream(res, { 'Content-Type': 'application/json' });
    await untilClientGone(signal, async () => {
      for await (const sample of samples) await writeChunk(res, `${JSON.stringify(shape(sample))}\n`);
    });
    endStream(res);
  });

  // ContainerWait: 200, its header at once | 404. Old clients get it with the answer.
  router.post('/containers/:id/wait', async (req, res) => {
    const atOnce = holds('waitAnswersAtOnce', req);
    const condition = atOnce ? queryText(req, 'condition') : '';
    const signal = clientSignal(req, res);
    const { exit } = await backend.wait(
      req.params.id,
      condition === 'next-exit' || condition === 'removed' ? condition : 'not-running',
      signal,
    );
    if (atOnce) startStream(res, { 'Content-Type': 'application/json' });
    const result = await exit.catch((error: unknown): ContainerWaitResponse => {
      if (!signal.aborted) log.warn('wait failed', { path: req.path, error: errorMessage(error) });
      return { Error: { Message: errorMessage(error) }, StatusCode: -1 };
    });
    if (res.destroyed) return;
    if (!atOnce) sendJson(res, 200, result);
    else if (condition === 'removed' && result.Error !== null && !holds('waitTellsFailedRemoval', req))
      res.end();
    else res.end(`${JSON.stringify(result)}\n`);
  });

  return router;
}

function attachOptions(
  request: Request,
  wants: (name: 'stdin' | 'stdout' | 'stderr') => boolean,
): AttachOptions {
  const keys = queryText(request, 'detachKeys');
  if (keys !== '' && parseDetachKeys(keys) === undefined) {
    throw new DaemonError('InvalidParameter', `Invalid detach keys (${keys}) provided`);
  }
  return {
    logs: queryBool(request, 'logs'),
    stream: queryBool(request, 'stream'),
    stdin: wants('stdin'),
    stdout: wants('stdout'),
    stderr: wants('stderr'),
    ...optionalText(request, 'detachKeys', 'detachKeys'),
  };
}

/** A status with plain text, and the end of the connection. */
function sendRawError(request: Request, response: Response, error: unknown): void {
  const { status, message } = describeError(request, error);
  if (!response.destroyed) sendText(response, status, `${message}\r\n`, rawStreamType);
}

function logsOptions(request: Request): LogsOptions {
  const stdout = queryBool(request, 'stdout');
  const stderr = queryBool(request, 'stderr');
  if (!stdout && !stderr) {
    throw new DaemonError('InvalidParameter', 'Bad parameters: you must choose at least one stream');
  }
  const tail = queryText(request, 'tail');
  return {
    stdout,
    stderr,
    follow: queryBool(request, 'follow'),
    sinceMs: queryMilliseconds(request, 'since'),
    untilMs: queryMilliseconds(request, 'until'),
    timestamps: queryBool(request, 'timestamps'),
    details: queryBool(request, 'details'),
    // what is no number, or negative, means all
    ...(/^\d+$/.test(tail) ? { tail: Number(tail) } : {}),
  };
}

function queryMilliseconds(request: Request, name: string): number {
  const nanoseconds = parseTimestampQuery(queryText(request, name), Date.now());
  return Number(nanoseconds ?? 0n) / 1e6;
}

async function writeLines(
  response: Response,
  lines: AsyncIterable<LogLine>,
  multiplexed: boolean,
): Promise<void> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const { stream, data, more } of lines) {
    if (multiplexed) parts.push(frameHeader(stream, data.length));
    parts.push(data);
    bytes += data.length;
    if (more === true && bytes < gatherBytes) continue;
    const chunk = parts.length === 1 ? data : Buffer.concat(parts);
    parts = [];
    bytes = 0;
    await writeChunk(response, chunk);
  }
  if (parts.length > 0) await writeChunk(response, Buffer.concat(parts));
}

/** Runs `work`; a failure after the client left is none. */
async function untilClientGone(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
