// The files of a container: archive (cp), export, changes.

import { Router } from 'express';
import type { Request } from 'express';
import { DaemonError } from '../../errors';
import type { ContainerFileBackend } from './backend';
import { containerCopy } from '../../docker/request-schemas';
import { readJson } from '../http/body';
import { holds } from './old-versions';
import { queryBool, queryText } from '../http/query';
import { readOn } from '../http/read-on';
import { sendJson, sendStatus } from '../http/reply';
import { clientSignal } from '../http/response-stream';
import { sendTar } from '../http/tar-reply';
import type { ContainerPathStat } from '../../docker/types';

const statHeader = 'X-Docker-Container-Path-Stat';

export function archiveRoutes(backend: ContainerFileBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ContainerArchiveInfo: 200, the answer in a header | 400 no path | 404
  router.head('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    res.setHeader(statHeader, encodeStat(await backend.archiveStat(req.params.id, path)));
    sendStatus(res, 200);
  });

  // ContainerArchive: 200 a tar | 400 no path | 404
  router.get('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    const { stat, archive } = await backend.archiveGet(req.params.id, path, clientSignal(req, res));
    await sendTar(res, archive, { 'Content-Type': 'application/x-tar', [statHeader]: encodeStat(stat) });
  });

  // Of versions before 1.24: 200 a tar | 400 no path | 404
  router.post('/containers/:id/copy', async (req, res) => {
    if (holds('copyIsGone', req)) {
      sendStatus(res, 404);
      return;
    }
    // the schema decides the type
    const { Resource: path = '' } = (await readJson(req, containerCopy)) as { Resource?: string };
    if (path === '') throw new DaemonError('InvalidParameter', 'Path cannot be empty');
    const archive = await backend.copy(req.params.id, path, clientSignal(req, res));
    await sendTar(res, archive, { 'Content-Type': 'application/x-tar' });
  });

  // PutContainerArchive: 200 | 400 | 403 read-only | 404
  router.put('/containers/:id/archive', async (req, res) => {
    const path = requiredPath(req);
    const options = {
      noOverwriteDirNonDir: queryBool(req, 'noOverwriteDirNonDir'),
      copyUidGid: queryBool(req, 'copyUIDGID'),
    };
    await backend.archivePut(req.params.id, path, req, options, clientSignal(req, res));
    // the archive's end may come before the body's
    await readOn(req);
    sendStatus(res, 200);
  });

  // ContainerExport: 200 a tar | 404
  router.get('/containers/:id/export', async (req, res) => {
    const archive = await backend.export(req.params.id, clientSignal(req, res));
    await sendTar(res, archive, { 'Content-Type': 'application/octet-stream' });
  });

  // ContainerChanges: 200 | 404
  router.get('/containers/:id/changes', async (req, res) => {
    sendJson(res, 200, await backend.changes(req.params.id));
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
