// `/images/*`, `/commit` and `/distribution/*`.

import { Router } from 'express';
import { DaemonError } from '../../errors';
import { holds } from './old-versions';
import type { CommitBackend, Filters, ImageBackend } from './backend';
import { checkJsonContentType, decodeBody, readBody } from '../http/body';
import { queryFilters } from './filters';
import { imageName, optionalAuth, requiredAuth } from './image-request';
import { containerCreate } from '../../docker/request-schemas';
import { streamProgress } from './progress-stream';
import { optionalText, queryBool, queryBoolOr, queryInt, queryOf, queryText } from '../http/query';
import { sendJson, sendStatus } from '../http/reply';
import { clientSignal } from '../http/response-stream';
import { sendTar } from '../http/tar-reply';
import type { ContainerCreateBody } from '../../docker/types';

const listFilters = ['before', 'dangling', 'label', 'reference', 'since'];
const pruneFilters = ['dangling', 'label', 'label!', 'until'];
const defaultSearchLimit = 25;

export function imageRoutes(backend: ImageBackend, commits: CommitBackend): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // ImageList: 200 | 400 unknown filter
  router.get('/images/json', async (req, res) => {
    const filters = new Map(queryFilters(req, listFilters));
    const reference = holds('referenceIsFilter', req) ? '' : queryText(req, 'filter');
    if (reference !== '') filters.set('reference', [...(filters.get('reference') ?? []), reference]);
    sendJson(
      res,
      200,
      await backend.list({ all: queryBool(req, 'all'), digests: queryBool(req, 'digests'), filters }),
    );
  });

  // ImageCreate: 200 | 400 | 404 no such image or access denied. Pull, or import where there is no fromImage.
  router.post('/images/create', async (req, res) => {
    const fromImage = queryText(req, 'fromImage');
    const platform = holds('imagesHavePlatforms', req) ? optionalText(req, 'platform', 'platform') : {};
    const tag = queryText(req, 'tag');
    if (fromImage !== '') {
      const options = { fromImage, tag, ...platform, ...optionalAuth(req) };
      await streamProgress(req, res, (progress, signal) => backend.pull(options, progress, signal));
      return;
    }
    const fromSrc = queryText(req, 'fromSrc');
    if (fromSrc === '') throw new DaemonError('Internal', 'Get "http:": http: no Host in request URL');
    const options = {
      fromSrc,
      repo: queryText(req, 'repo'),
      tag,
      message: queryText(req, 'message'),
      changes: queryOf(req).getAll('changes'),
      ...platform,
    };
    await streamProgress(req, res, (progress, signal) => backend.importImage(options, req, progress, signal));
  });

  // ImageLoad: 200, errors as a line
  router.post('/images/load', async (req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' });
    const quiet = queryBoolOr(req, 'quiet', true);
    await streamProgress(req, res, (progress, signal) => backend.load(req, { quiet }, progress, signal));
  });

  // ImageSearch: 200 | 400 limit out of range
  router.get('/images/search', async (req, res) => {
    const limit = queryInt(req, 'limit') ?? defaultSearchLimit;
    if (limit < 1 || limit > 100) {
      throw new DaemonError('InvalidParameter', `Limit ${limit} is outside the range of [1, 100]`);
    }
    const filters: Filters = queryFilters(req, undefined);
    const found = await backend.search(queryText(req, 'term'), { limit, filters, ...optionalAuth(req) });
    sendJson(res, 200, found);
  });

  // ImageGetAll: 200 a tar | 404
  router.get('/images/get', async (req, res) => {
    await sendTar(res, await backend.save(queryOf(req).getAll('names'), clientSignal(req, res)));
  });

  // ImageGet: 200 a tar | 404
  router.get('/images/*name/get', async (req, res) => {
    await sendTar(res, await backend.save([imageName(req)], clientSignal(req, res)));
  });

  // ImageInspect: 200 | 404
  router.get('/images/*name/json', async (req, res) => {
    sendJson(res, 200, await backend.inspect(imageName(req)));
  });

  // ImageHistory: 200 | 404
  router.get('/images/*name/history', async (req, res) => {
    sendJson(res, 200, await backend.history(imageName(req)));
  });

  // ImagePush: 200, errors as a line | 400 no credentials
  router.post('/images/*name/push', async (req, res) => {
    const options = { tag: queryText(req, 'tag'), auth: await requiredAuth(req) };
    await streamProgress(req, res, (progress, signal) =>
      backend.push(imageName(req), options, progress, signal),
    );
  });

  // ImageTag: 201 | 400 | 404
  router.post('/images/*name/tag', async (req, res) => {
    await backend.tag(imageName(req), { repo: queryText(req, 'repo'), tag: queryText(req, 'tag') });
    sendStatus(res, 201);
  });

  // ImageDelete: 200 | 404 | 409 in use
  router.delete('/images/', () => {
    throw new DaemonError('InvalidParameter', 'image name cannot be blank');
  });
  router.delete('/images/*name', async (req, res) => {
    const options = { force: queryBool(req, 'force'), noprune: queryBool(req, 'noprune') };
    sendJson(res, 200, await backend.remove(imageName(req), options));
  });

  // ImagePrune: 200 | 400 unknown filter
  router.post('/images/prune', async (req, res) => {
    sendJson(res, 200, await backend.prune(queryFilters(req, pruneFilters)));
  });

  // ImageCommit: 201 | 400 | 404 no such container. The body, a Config, may be missing.
  router.post('/commit', async (req, res) => {
    checkJsonContentType(req);
    const body = await readBody(req);
    // A create body, and what is wrong with the rest of it counts too.
    const given = body.length === 0 ? {} : decodeBody(body, containerCreate, 'Internal', 'EOF');
    const config = given as ContainerCreateBody;
    delete config.HostConfig;
    delete config.NetworkingConfig;
    const created = await commits.commit({
      container: queryText(req, 'container'),
      repo: queryText(req, 'repo'),
      tag: queryText(req, 'tag'),
      author: queryText(req, 'author'),
      comment: queryText(req, 'comment'),
      pause: queryBoolOr(req, 'pause', holds('commitPauses', req)),
      changes: queryOf(req).getAll('changes'),
      config,
    });
    sendJson(res, 201, created);
  });

  // DistributionInspect: 200 | 401 | 404
  router.get('/distribution/*name/json', async (req, res) => {
    sendJson(res, 200, await backend.distribution(imageName(req), optionalAuth(req).auth));
  });

  return router;
}
