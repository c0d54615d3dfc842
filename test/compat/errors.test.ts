// What a client that errs is told: unknown ids, conflicts, malformed and oversize bodies, bad queries.

import { httpCases } from './harness/cases';

const create = (body: object, name = '$c'): { request: string; body: object } => ({
  request: `POST /containers/create?name=${name}`,
  body,
});

httpCases('errors: unknown container', {
  inspect: 'GET /containers/no-such/json',
  start: 'POST /containers/no-such/start',
  stop: 'POST /containers/no-such/stop',
  restart: 'POST /containers/no-such/restart',
  kill: 'POST /containers/no-such/kill',
  pause: 'POST /containers/no-such/pause',
  unpause: 'POST /containers/no-such/unpause',
  rename: 'POST /containers/no-such/rename?name=x1',
  update: { request: 'POST /containers/no-such/update', body: {} },
  wait: 'POST /containers/no-such/wait',
  remove: 'DELETE /containers/no-such',
  logs: 'GET /containers/no-such/logs?stdout=1',
  top: 'GET /containers/no-such/top',
  attach: 'POST /containers/no-such/attach?stream=1&stdout=1',
  resize: 'POST /containers/no-such/resize?h=1&w=1',
  'exec create': { request: 'POST /containers/no-such/exec', body: { Cmd: ['true'] } },
  'exec start': { request: 'POST /exec/no-such/start', body: {} },
  'exec inspect': 'GET /exec/no-such/json',
  'exec resize': 'POST /exec/no-such/resize?h=1&w=1',
  changes: 'GET /containers/no-such/changes',
  export: 'GET /containers/no-such/export',
  stats: 'GET /containers/no-such/stats?stream=0',
  archive: 'GET /containers/no-such/archive?path=/',
});

httpCases('errors: bodies', {
  'malformed JSON': {
    request: 'POST /containers/create',
    body: '{"Image":',
    headers: { 'Content-Type': 'application/json' },
  },
  'no JSON': {
    request: 'POST /containers/create',
    body: 'hello',
    headers: { 'Content-Type': 'application/json' },
  },
  'an array': {
    request: 'POST /containers/create',
    body: '[]',
    headers: { 'Content-Type': 'application/json' },
  },
  null: { request: 'POST /containers/create', body: 'null', headers: { 'Content-Type': 'application/json' } },
  'no body': { request: 'POST /containers/create', headers: { 'Content-Type': 'application/json' } },
  'no content type': { request: 'POST /containers/create', body: '{}' },
  'another content type': {
    request: 'POST /containers/create',
    body: '{}',
    headers: { 'Content-Type': 'text/plain' },
  },
  'an empty object': create({}),
  'an image that is not there': create({ Image: 'no-such-image:tag' }),
  'an invalid image name': create({ Image: 'UPPER' }),
  'no command': create({ Image: 'busybox', Cmd: [], Entrypoint: [''] }),
  'a wrong type': create({ Image: 'busybox', Cmd: 5 }),
  'a command as one string': [create({ Image: 'busybox', Cmd: 'true' }), 'GET /containers/$c/json'],
  'a string for a number': create({ Image: 'busybox', HostConfig: { Memory: 'lots' } }),
  'fields nobody knows': [create({ Image: 'busybox', NoSuchField: 1, HostConfig: { NoSuchEither: {} } })],
  'names of fields in another case': [create({ image: 'busybox', cmd: ['true'] }), 'GET /containers/$c/json'],
  'something after the JSON': {
    request: 'POST /containers/create?name=$c',
    body: '{"Image":"busybox"} trailing',
    headers: { 'Content-Type': 'application/json' },
  },
  'exec without a command': [
    create({ Image: 'busybox', Cmd: ['sleep', '60'] }),
    'POST /containers/$c/start',
    { request: 'POST /containers/$c/exec', body: {} },
  ],
  'exec with malformed JSON': [
    create({ Image: 'busybox', Cmd: ['sleep', '60'] }),
    'POST /containers/$c/start',
    { request: 'POST /containers/$c/exec', body: '{', headers: { 'Content-Type': 'application/json' } },
  ],
  'start with a HostConfig': [
    create({ Image: 'busybox', Cmd: ['true'] }),
    { request: 'POST /containers/$c/start', body: { HostConfig: {} } },
  ],
});

httpCases('errors: values', {
  'name in use': [create({ Image: 'busybox' }), create({ Image: 'busybox' })],
  'invalid name': create({ Image: 'busybox' }, '%2Fa%20b'),
  'memory too small': create({ Image: 'busybox', HostConfig: { Memory: 1024 } }),
  'swap without memory': create({ Image: 'busybox', HostConfig: { MemorySwap: 100000000 } }),
  'negative cpu': create({ Image: 'busybox', HostConfig: { NanoCpus: -1 } }),
  'negative shm': create({ Image: 'busybox', HostConfig: { ShmSize: -1 } }),
  'pids limit': [create({ Image: 'busybox', HostConfig: { PidsLimit: -5 } })],
  'oom score out of range': create({ Image: 'busybox', HostConfig: { OomScoreAdj: 5000 } }),
  'unknown restart policy': create({ Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'nonsense' } } }),
  'retries where there are none': create({
    Image: 'busybox',
    HostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } },
  }),
  'auto-remove with a policy': create({
    Image: 'busybox',
    HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } },
  }),
  'unknown log driver': create({ Image: 'busybox', HostConfig: { LogConfig: { Type: 'nonsense' } } }),
  'bad bind': create({ Image: 'busybox', HostConfig: { Binds: ['a:b:c:d'] } }),
  'relative bind target': create({ Image: 'busybox', HostConfig: { Binds: ['/tmp:relative'] } }),
  'mount of an unknown type': create({
    Image: 'busybox',
    HostConfig: { Mounts: [{ Type: 'nonsense', Target: '/x' }] },
  }),
  'mount without a target': create({ Image: 'busybox', HostConfig: { Mounts: [{ Type: 'tmpfs' }] } }),
  'duplicate mount point': create({
    Image: 'busybox',
    HostConfig: { Tmpfs: { '/x': '' }, Mounts: [{ Type: 'tmpfs', Target: '/x' }] },
  }),
  'bad port': create({ Image: 'busybox', ExposedPorts: { 'nonsense/tcp': {} } }),
  'bad stop signal': create({ Image: 'busybox', StopSignal: 'NOSUCH' }),
  'bad environment': create({ Image: 'busybox', Env: ['=x'] }),
  'sysctl with a slash and a value': [
    create({ Image: 'busybox', HostConfig: { Sysctls: { 'net.ipv4.ip_forward': '1' } } }),
  ],
  'host network with a network alias': create({
    Image: 'busybox',
    HostConfig: { NetworkMode: 'host' },
    NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } },
  }),
  'container network of nobody': [
    create({ Image: 'busybox', HostConfig: { NetworkMode: 'container:no-such' } }),
    'POST /containers/$c/start',
  ],
  'console size': [create({ Image: 'busybox', Tty: true, HostConfig: { ConsoleSize: [40, 100] } })],
});

httpCases('errors: queries', {
  'malformed filters': 'GET /containers/json?filters=nonsense',
  'filters of another shape': 'GET /containers/json?filters=%5B%5D',
  'unknown filter': 'GET /containers/json?filters={"nonsense":["1"]}',
  'old style filters': 'GET /containers/json?all=1&filters={"name":{"no-such-name":true}}',
  'invalid status': 'GET /containers/json?filters={"status":["nonsense"]}',
  'bad limit': 'GET /containers/json?limit=x',
  'bad signal': [
    create({ Image: 'busybox', Cmd: ['sleep', '60'] }),
    'POST /containers/$c/start',
    'POST /containers/$c/kill?signal=NOSUCH',
  ],
  'bad stop time': [create({ Image: 'busybox' }), 'POST /containers/$c/stop?t=x'],
  'bad wait condition': [create({ Image: 'busybox' }), 'POST /containers/$c/wait?condition=nonsense'],
  'logs of no stream': [create({ Image: 'busybox' }), 'GET /containers/$c/logs'],
  'logs with a bad since': [create({ Image: 'busybox' }), 'GET /containers/$c/logs?stdout=1&since=x'],
  'resize without a size': [create({ Image: 'busybox', Tty: true }), 'POST /containers/$c/resize'],
  'resize of one that does not run': [
    create({ Image: 'busybox', Tty: true }),
    'POST /containers/$c/resize?h=10&w=10',
  ],
  'attach to one that does not run': [
    create({ Image: 'busybox' }),
    'POST /containers/$c/attach?logs=1&stdout=1',
  ],
  'bad detach keys': [
    create({ Image: 'busybox' }),
    'POST /containers/$c/attach?stream=1&stdout=1&detachKeys=nonsense',
  ],
  'force and volumes are booleans': [create({ Image: 'busybox' }), 'DELETE /containers/$c?force=maybe'],
  'remove a link': [create({ Image: 'busybox' }), 'DELETE /containers/$c?link=1'],
  'rename to nothing': [create({ Image: 'busybox' }), 'POST /containers/$c/rename'],
  'top of a stopped one': [create({ Image: 'busybox' }), 'GET /containers/$c/top'],
  'prune with a bad filter': 'POST /containers/prune?filters={"nonsense":["1"]}',
  'prune with a bad time': 'POST /containers/prune?filters={"until":["nonsense"]}',
  'events with a bad time': 'GET /events?since=x&until=1',
  'events in the past': 'GET /events?since=1&until=2',
});

httpCases('errors: images', {
  inspect: 'GET /images/no-such-image/json',
  history: 'GET /images/no-such-image/history',
  remove: 'DELETE /images/no-such-image',
  tag: 'POST /images/no-such-image/tag?repo=x',
  'tag without a repository': 'POST /images/busybox/tag',
  'tag with a bad name': 'POST /images/busybox/tag?repo=UPPER',
  'tag with a bad tag': 'POST /images/busybox/tag?repo=$c&tag=-x',
  push: 'POST /images/no-such-image/push',
  'pull of nothing': 'POST /images/create',
  'pull of a bad name': 'POST /images/create?fromImage=UPPER',
  'pull of what is not there': 'POST /images/create?fromImage=127.0.0.1:5000/no-such&tag=x',
  'pull with malformed credentials': {
    request: 'POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest',
    headers: { 'X-Registry-Auth': 'nonsense' },
  },
  'unknown filter': 'GET /images/json?filters={"nonsense":["1"]}',
  'load of nothing': {
    request: 'POST /images/load',
    body: '',
    headers: { 'Content-Type': 'application/x-tar' },
  },
  'get of nothing': 'GET /images/get?names=no-such-image',
  'search for nothing': 'GET /images/search',
});
