// Networks, volumes and the system: each documented status of each operation.

import { created, engineFault, malformed, only, started, type StatusTable, unseen } from './steps';

const network = { request: 'POST /networks/create', body: { Name: '$c' } };
const connect = { request: 'POST /networks/$c/connect', body: { Container: '$c' } };

export const networkStatuses: StatusTable = {
  NetworkList: {
    200: 'GET /networks?filters={"name":["$c"]}',
    400: 'GET /networks?filters={"nonsense":["1"]}',
    500: 'GET /networks?filters=nonsense',
  },
  NetworkInspect: {
    200: [network, only('GET /networks/$c')],
    400: 'GET /networks/bridge?verbose=nonsense',
    404: 'GET /networks/no-such',
    500: engineFault,
  },
  NetworkDelete: {
    204: [network, 'DELETE /networks/$c'],
    403: 'DELETE /networks/bridge',
    404: 'DELETE /networks/no-such',
    500: engineFault,
  },
  NetworkCreate: {
    201: network,
    400: malformed('POST /networks/create'),
    403: { request: 'POST /networks/create', body: { Name: 'bridge' } },
    404: { request: 'POST /networks/create', body: { Name: '$c', Driver: 'nonsense' } },
    409: [network, { request: 'POST /networks/create', body: { Name: '$c', CheckDuplicate: true } }],
    500: engineFault,
  },
  NetworkConnect: {
    200: [created, network, connect],
    403: [...started, network, connect, connect],
    404: [network, { request: 'POST /networks/$c/connect', body: { Container: 'no-such' } }],
    500: engineFault,
  },
  NetworkDisconnect: {
    200: [created, network, connect, { ...connect, request: 'POST /networks/$c/disconnect' }],
    403: unseen('Of networks that a swarm has.'),
    404: { request: 'POST /networks/no-such/disconnect', body: connect.body },
    500: [...started, network, { ...connect, request: 'POST /networks/$c/disconnect' }],
  },
  NetworkPrune: {
    200: 'POST /networks/prune?filters={"label":["case=$c"]}',
    400: 'POST /networks/prune?filters={"nonsense":["1"]}',
    500: 'POST /networks/prune?filters={"until":["nonsense"]}',
  },
};

const volume = { request: 'POST /volumes/create', body: { Name: '$c' } };

export const volumeStatuses: StatusTable = {
  VolumeList: {
    200: 'GET /volumes?filters={"name":["$c"]}',
    400: 'GET /volumes?filters={"nonsense":["1"]}',
    500: engineFault,
  },
  VolumeCreate: {
    201: [only(volume), 'DELETE /volumes/$c', only(volume)],
    400: { request: 'POST /volumes/create', body: { Name: 'a/b' } },
    404: { request: 'POST /volumes/create', body: { Name: '$c', Driver: 'nonsense' } },
    500: engineFault,
  },
  VolumeInspect: {
    200: [only(volume), only('GET /volumes/$c')],
    404: 'GET /volumes/no-such',
    500: engineFault,
  },
  VolumeDelete: {
    204: [only(volume), 'DELETE /volumes/$c'],
    404: 'DELETE /volumes/no-such',
    409: [
      {
        request: 'POST /containers/create?name=$c',
        body: { Image: 'busybox', HostConfig: { Binds: ['$c:/data'] } },
      },
      'DELETE /volumes/$c',
    ],
    500: engineFault,
  },
  VolumePrune: {
    200: 'POST /volumes/prune?filters={"label":["case=$c"]}',
    400: 'POST /volumes/prune?filters={"nonsense":["1"]}',
    500: 'POST /volumes/prune?filters=nonsense',
  },
};

export const systemStatuses: StatusTable = {
  SystemAuth: {
    200: unseen('The registry of the tests asks for no credentials; images/registry.test.ts logs in.'),
    204: unseen(
      'Of a client without an address of a registry; dockerd always answers with a status of its own.',
    ),
    401: unseen('The same; images/registry.test.ts has a wrong password.'),
    500: { request: 'POST /auth', body: { username: 'a', password: 'b', serveraddress: '127.0.0.1:1' } },
  },
  SystemInfo: { 200: only('GET /info'), 500: engineFault },
  SystemVersion: { 200: only('GET /version'), 500: engineFault },
  SystemPing: { 200: 'GET /_ping', 500: engineFault },
  SystemPingHead: { 200: 'HEAD /_ping', 500: engineFault },
  SystemEvents: {
    200: 'GET /events?since=1&until=2',
    400: 'GET /events?since=2&until=1',
    500: 'GET /events?since=x&until=1',
  },
  SystemDataUsage: { 200: only('GET /system/df'), 500: engineFault },
  Session: {
    101: unseen('Needs BuildKit over HTTP/2: docs/compatibility.md.'),
    400: 'POST /session',
    500: engineFault,
  },
};
