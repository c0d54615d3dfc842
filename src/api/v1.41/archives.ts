// The files of a container: archive (cp), export, changes.

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError } from '../../errors';
import type { ContainerBackend } from './backend';
import { supported } from './not-implemented';
import { queryBool, queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import { clientSignal } from '../http/response-stream';
import { sendTar } from '../http/tar-reply';
import type { ContainerPathStat } from '../../docker/types';

const statHeader = 'X-Docker-Container-Path-Stat';
const what = "access to a container's files";

export function archiveRoutes(backend: ContainerBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ContainerArchiveInfo: 200, the answer in a header | 400 no path | 404
  router.head('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    const stat = supported(backend.archiveStat?.bind(backend), what);
    res.setHeader(statHeader, encodeStat(await stat(req.params.id, path)));
    sendStatus(res, 200);
  });

  // ContainerArchive: 200 a tar | 400 no path | 404
  router.get('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    const get = supported(backend.archiveGet?.bind(backend), what);
    const { stat, archive } = await get(req.params.id, path, clientSignal(req, res));
    await sendTar(res, archive, { 'Content-Type': 'application/x-tar', [statHeader]: encodeStat(stat) });
  });

  // PutContainerArchive: 200 | 400 | 403 read-only | 404
  router.put('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    const put = supported(backend.archivePut?.bind(backend), what);
    const options = {
      noOverwriteDirNonDir: queryBool(req, 'noOverwriteDirNonDir'),
      copyUidGid: queryBool(req, 'copyUIDGID'),
    };
    await put(req.params.id, path, req, options, clientSignal(req, res));
    sendStatus(res, 200);
  });

  // ContainerExport: 200 a tar | 404
  router.get('/containers/:id/export', async (req, res) => {
    const exportFiles = supported(backend.export?.bind(backend), 'export');
    const archive = await exportFiles(req.params.id, clientSignal(req, res));
    await sendTar(res, archive, { 'Content-Type': 'application/octet-stream' });
  });

  // ContainerChanges: 200 | 404
  router.get('/containers/:id/changes', async (req, res) => {
    const changes = supported(backend.changes?.bind(backend), 'listing changes');
    sendJson(res, 200, await changes(req.params.id));
  });

  return router;
}

function requiredPath(request: Request): string {
  const path = queryText(request, 'path');
  // dockerd's wording, without the blank
  if (path === '') throw new DaemonError('InvalidParameter', 'bad parameter: pathcannot be empty');
  return path;
}

function encodeStat(stat: ContainerPathStat): string {
  const { name, size, mode, mtime, linkTarget } = stat;
  return Buffer.from(JSON.stringify({ name, size, mode, mtime, linkTarget })).toString('base64');
}
