// Images and builds: each documented status of each operation.

import { created, engineFault, only, type StatusTable, unseen } from './steps';

const asTar = { 'Content-Type': 'application/x-tar' };
const noArchive = Buffer.alloc(1024).toString();
const tagged = 'POST /images/busybox/tag?repo=$c&tag=one';
const pushable = 'POST /images/busybox/tag?repo=127.0.0.1:5000/$c&tag=one';
const anonymous = { 'X-Registry-Auth': 'e30=' };

export const imageStatuses: StatusTable = {
  ImageList: {
    200: only('GET /images/json?filters={"reference":["busybox"]}'),
    400: 'GET /images/json?filters={"nonsense":["1"]}',
    500: 'GET /images/json?filters=nonsense',
  },
  ImageBuild: {
    200: unseen('build.test.ts builds.'),
    400: { request: 'POST /build?q=1&isolation=nonsense', body: noArchive, headers: asTar },
    500: { request: 'POST /build?q=1&shmsize=x', body: noArchive, headers: asTar },
  },
  BuildPrune: {
    200: 'POST /build/prune?filters={"id":["no-such"]}',
    400: 'POST /build/prune?filters={"nonsense":["1"]}',
    500: 'POST /build/prune?keep-storage=x',
  },
  ImageCreate: {
    200: only('POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest'),
    400: 'POST /images/create?fromImage=UPPER',
    404: 'POST /images/create?fromImage=127.0.0.1:5000/no-such&tag=x',
    500: 'POST /images/create?fromImage=127.0.0.1:1/no-such&tag=x',
  },
  ImageInspect: {
    200: only('GET /images/busybox/json'),
    404: 'GET /images/no-such-image/json',
    500: engineFault,
  },
  ImageHistory: {
    200: 'GET /images/layers/history',
    404: 'GET /images/no-such-image/history',
    500: engineFault,
  },
  ImagePush: {
    200: [pushable, only({ request: 'POST /images/127.0.0.1:5000/$c/push?tag=one', headers: anonymous })],
    400: [pushable, 'POST /images/127.0.0.1:5000/$c/push?tag=one'],
    404: unseen('dockerd answers 200 and tells of it in the stream: images/registry.test.ts.'),
    500: engineFault,
  },
  ImageTag: {
    201: tagged,
    400: unseen('dockerd 20.10 answers 500 for a name that is none.'),
    404: 'POST /images/no-such-image/tag?repo=x',
    409: unseen('A tag that is another image’s moves; dockerd never answers it.'),
    500: 'POST /images/busybox/tag?repo=UPPER',
  },
  ImageDelete: {
    200: [tagged, 'DELETE /images/$c:one'],
    404: 'DELETE /images/no-such-image',
    409: [
      created,
      { request: 'POST /commit?container=$c&repo=$c-a', body: {} },
      'POST /images/$id/tag?repo=$c-b',
      'DELETE /images/$id',
    ],
    500: engineFault,
  },
  ImageSearch: {
    200: unseen('The registry of the tests has no search.'),
    400: 'GET /images/search?term=x&limit=1000',
    500: 'GET /images/search?term=127.0.0.1:5000/busybox',
  },
  ImagePrune: {
    200: 'POST /images/prune?filters={"label":["case=$c"]}',
    400: 'POST /images/prune?filters={"nonsense":["1"]}',
    500: 'POST /images/prune?filters={"until":["nonsense"]}',
  },
  ImageCommit: {
    201: [created, { request: 'POST /commit?container=$c&repo=$c', body: {} }],
    400: [created, { request: 'POST /commit?container=$c&changes=NONSENSE', body: {} }],
    404: { request: 'POST /commit?container=no-such', body: {} },
    500: [created, { request: 'POST /commit?container=$c&repo=UPPER', body: {} }],
  },
  ImageGet: {
    200: only('GET /images/busybox/get'),
    404: 'GET /images/no-such-image/get',
    500: engineFault,
  },
  ImageGetAll: {
    200: only('GET /images/get?names=busybox'),
    404: 'GET /images/get?names=no-such-image',
    500: 'GET /images/get?names=UPPER',
  },
  ImageLoad: {
    200: { request: 'POST /images/load', body: 'not a tar', headers: asTar },
    500: engineFault,
  },
  DistributionInspect: {
    200: 'GET /distribution/127.0.0.1:5000/busybox/json',
    400: 'GET /distribution/UPPER/json',
    401: unseen(
      'The registry of the tests asks for no credentials; images/registry.test.ts has one that does.',
    ),
    404: 'GET /distribution/127.0.0.1:5000/no-such/json',
    500: 'GET /distribution/127.0.0.1:1/no-such/json',
  },
};
