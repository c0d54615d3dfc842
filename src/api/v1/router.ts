// v1/: Caisson's own API; its contract is backend.ts and types.ts.
//
// /v1: Pods, VMs and what this daemon is. Handlers parse, make one call and write the reply. What streams from and to a
// container is Docker's: those paths lead on to its routes.

import { Router } from 'express';
import type { Request } from 'express';
import { decodeBody, checkJsonContentType, readBody } from '../http/body';
import { containerCreate } from '../../docker/request-schemas';
import { optionalText, queryBool, queryOf, queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import { clientSignal, endStream, startStream, writeChunk } from '../http/response-stream';
import type { ContainerCreateBody } from '../../docker/types';
import { DaemonError } from '../../errors';
import type { PodsBackend } from './backend';
import { checkRequest, type requestSchemas } from './schemas';
import type { PodReplaceRequest, PodStartRequest, PodStopRequest, PodTemplate, VmRunRequest } from './types';

/** What is Docker's own, by what follows `/v1/pods/{pod}/`. `?container=` names one of several. */
const containerPaths = ['attach', 'attach/ws', 'exec', 'logs', 'resize', 'top', 'archive'];

/** To be asked before Docker's router, which takes `/v1` for a version, and which answers the paths of containers. */
export function podsRouter(backend: PodsBackend): Router {
  const { pods, vms } = backend;
  const router = Router({ caseSensitive: true, strict: true });

  // 200
  router.get('/v1/info', (_req, res) => sendJson(res, 200, backend.info()));

  // 200. `label=name` or `label=name=value`, repeated: all of them
  router.get('/v1/pods', (req, res) => {
    sendJson(res, 200, pods.list({ labels: queryOf(req).getAll('label') }));
  });

  // 201 | 400 | 404 no such image or network | 409 name in use
  router.post('/v1/pods', async (req, res) => {
    const template = podTemplate(await readRequest(req, 'PodTemplate'));
    sendJson(res, 201, await pods.create(template));
  });

  // 200 | 404
  router.get('/v1/pods/:pod', (req, res) => sendJson(res, 200, pods.inspect(req.params.pod)));

  // 204 | 404 | 409 running
  router.delete('/v1/pods/:pod', async (req, res) => {
    await pods.remove(req.params.pod, { force: queryBool(req, 'force'), volumes: queryBool(req, 'volumes') });
    sendStatus(res, 204);
  });

  // 200 when all its containers are started | 400 | 404 | 409 running, or the VM is in use or too small
  router.post('/v1/pods/:pod/start', async (req, res) => {
    const request = (await readRequest(req, 'PodStartRequest')) as PodStartRequest; // the schema decides
    sendJson(res, 200, await pods.start(req.params.pod, request));
  });

  // 200 | 304 not running | 404 | 409 the VM can't be kept
  router.post('/v1/pods/:pod/stop', async (req, res) => {
    const request = (await readRequest(req, 'PodStopRequest')) as PodStopRequest; // the schema decides
    sendJson(res, 200, await pods.stop(req.params.pod, request));
  });

  // 200 | 400 | 404 | 409
  router.post('/v1/pods/:pod/replace', async (req, res) => {
    const request = (await readRequest(req, 'PodReplaceRequest')) as PodReplaceRequest; // the schema decides
    const { template } = request;
    const reply = await pods.replace(req.params.pod, {
      ...request,
      ...(template === undefined ? {} : { template: podTemplate(template) }),
    });
    sendJson(res, 200, reply);
  });

  // 204 | 404 | 409
  router.post('/v1/pods/:pod/pause', async (req, res) => {
    await pods.pause(req.params.pod);
    sendStatus(res, 204);
  });

  // 204 | 404 | 409
  router.post('/v1/pods/:pod/unpause', async (req, res) => {
    await pods.unpause(req.params.pod);
    sendStatus(res, 204);
  });

  // 204 | 400 no such signal | 404 | 409 not running
  router.post('/v1/pods/:pod/kill', async (req, res) => {
    await pods.kill(req.params.pod, optionalText(req, 'signal', 'signal').signal);
    sendStatus(res, 204);
  });

  // 200 when none of its main containers runs | 404
  router.post('/v1/pods/:pod/wait', async (req, res) => {
    const signal = clientSignal(req, res);
    const reply = await pods.wait(req.params.pod, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
      return undefined;
    });
    if (reply !== undefined) sendJson(res, 200, reply);
  });

  // 200: one JSON object a line | 404. `stream`: about one a second, until the Pod or the client is gone
  router.get('/v1/pods/:pod/stats', async (req, res) => {
    const signal = clientSignal(req, res);
    const { id } = pods.inspect(req.params.pod);
    startStream(res, { 'Content-Type': 'application/x-ndjson' });
    await untilGone(signal, async () => {
      for await (const sample of pods.stats(id, { stream: queryBool(req, 'stream') }, signal)) {
        await writeChunk(res, `${JSON.stringify(sample)}\n`);
      }
    });
    endStream(res);
  });

  // As Docker's of the same name | 400 no container named, of several | 404
  for (const path of containerPaths) {
    router.all(`/v1/pods/:pod/${path}`, (req, _res, next) => {
      const id = pods.containerId(req.params.pod, queryText(req, 'container'));
      const query = req.url.indexOf('?');
      req.url = `/containers/${id}/${path}${query < 0 ? '' : req.url.slice(query)}`;
      next('router');
    });
  }

  // 200
  router.get('/v1/vms', (_req, res) => sendJson(res, 200, vms.list()));

  // 201 | 400 | 503 no VM to be had
  router.post('/v1/vms', async (req, res) => {
    const request = (await readRequest(req, 'VmRunRequest')) as VmRunRequest; // the schema decides
    sendJson(res, 201, await vms.run(request));
  });

  // 200 | 404
  router.get('/v1/vms/:vm', (req, res) => sendJson(res, 200, vms.inspect(req.params.vm)));

  // 204 | 404 | 409 in use
  router.delete('/v1/vms/:vm', async (req, res) => {
    await vms.remove(req.params.vm, { force: queryBool(req, 'force') });
    sendStatus(res, 204);
  });

  // 200: bytes | 404. `follow`: until the VM or the client is gone
  router.get('/v1/vms/:vm/console', async (req, res) => {
    const signal = clientSignal(req, res);
    const console = await vms.console(req.params.vm, { follow: queryBool(req, 'follow') }, signal);
    startStream(res, { 'Content-Type': 'application/octet-stream' });
    await untilGone(signal, async () => {
      for await (const data of console) await writeChunk(res, data);
    });
    endStream(res);
  });

  router.use(['/v1/info', '/v1/pods', '/v1/vms'], () => {
    throw new DaemonError('NotFound', 'page not found');
  });
  return router;
}

/** No body is as good as `{}`. */
async function readRequest(request: Request, schema: keyof typeof requestSchemas): Promise<unknown> {
  checkJsonContentType(request);
  const body = await readBody(request);
  if (body.length === 0) return checkRequest(schema, {});
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    throw new DaemonError('InvalidParameter', `the body is no JSON: ${String(error)}`, { cause: error });
  }
  return checkRequest(schema, value);
}

/** The schema has decided on everything but Docker's bodies. */
function podTemplate(value: unknown): PodTemplate {
  const template = value as PodTemplate;
  const containers = template.containers.map((container) => ({
    ...container,
    body: decodeBody(
      Buffer.from(JSON.stringify(container.body)),
      containerCreate,
      'InvalidParameter',
      'EOF',
    ) as ContainerCreateBody,
  }));
  return { ...template, containers };
}

/** Runs `work`; a failure after the client left is none. */
async function untilGone(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
