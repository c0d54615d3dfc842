// What a client that errs is told: malformed bodies, values, queries. One error of each operation and status is in
// statuses/.

import { httpCases } from '../harness/cases';

const create = (body: object, name = '$c'): { request: string; body: object } => ({
  request: `POST /containers/create?name=${name}`,
  body,
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
  'a content type with parameters': [
    {
      request: 'POST /networks/$c/connect',
      body: '{',
      headers: { 'Content-Type': 'application/json; a="b;c"' },
    },
    { request: 'POST /networks/$c/connect', body: '{', headers: { 'Content-Type': 'application/json; a' } },
  ],
  'a character that can not be printed': {
    request: 'POST /networks/$c/connect',
    body: '\u0001',
    headers: { 'Content-Type': 'application/json' },
  },
  'half a surrogate pair': {
    request: 'POST /volumes/create',
    body: String.raw`{"Name":"$c\ud800"}`,
    headers: { 'Content-Type': 'application/json' },
  },
  'deeper than Go looks': {
    request: 'POST /networks/$c/connect',
    body: '['.repeat(10_001),
    headers: { 'Content-Type': 'application/json' },
  },
  'connect and disconnect of nobody': [
    { request: 'POST /networks/$c/connect', body: {} },
    { request: 'POST /networks/$c/disconnect', body: {} },
  ],
  'a commit with a wrong HostConfig': {
    request: 'POST /commit?container=$c',
    body: { HostConfig: { Memory: 1.5 } },
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
  'an image without a name': 'DELETE /images/',
  'a websocket of an unknown container, without the handshake': 'GET /containers/nosuch/attach/ws',
  'the same with bad detach keys': 'GET /containers/nosuch/attach/ws?detachKeys=zzz',
  'the same with a control key in capitals': 'GET /containers/nosuch/attach/ws?detachKeys=ctrl-P',
  'the same with the last of ASCII': 'GET /containers/nosuch/attach/ws?detachKeys=ctrl-_,DEL',
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
  'an endpoint without settings': create({
    Image: 'busybox',
    NetworkingConfig: { EndpointsConfig: { bridge: null } },
  }),
  'an endpoint with an address that is none': create({
    Image: 'busybox',
    NetworkingConfig: { EndpointsConfig: { bridge: { IPAMConfig: { IPv4Address: 'x' } } } },
  }),
  'container network of nobody': [
    create({ Image: 'busybox', HostConfig: { NetworkMode: 'container:no-such' } }),
    'POST /containers/$c/start',
  ],
  'console size': [create({ Image: 'busybox', Tty: true, HostConfig: { ConsoleSize: [40, 100] } })],
});

httpCases('errors: queries', {
  'commit of nothing': 'POST /commit',
  'a tag that is none': 'POST /images/create?fromImage=busybox&tag=!',
  'build arguments that are no JSON': 'POST /build?buildargs=x',
  'keys of an exec in a container that does not run': [
    create({ Image: 'busybox' }),
    { request: 'POST /containers/$c/exec', body: { Cmd: ['true'], DetachKeys: 'x,yy' } },
  ],
  'malformed filters': 'GET /containers/json?filters=nonsense',
  'filters of another shape': 'GET /containers/json?filters=%5B%5D',
  'old style filters': 'GET /containers/json?all=1&filters={"name":{"no-such-name":true}}',
  'invalid status': 'GET /containers/json?filters={"status":["nonsense"]}',
  'bad wait condition': [create({ Image: 'busybox' }), 'POST /containers/$c/wait?condition=nonsense'],
  'resize without a size': [create({ Image: 'busybox', Tty: true }), 'POST /containers/$c/resize'],
  'force and volumes are booleans': [create({ Image: 'busybox' }), 'DELETE /containers/$c?force=maybe'],
  'rename to nothing': [
    create({ Image: 'busybox' }),
    'POST /containers/$c/rename',
    'POST /containers/no-such/rename',
  ],
  'a signal that is none, or that Linux does not have': [
    create({ Image: 'busybox' }),
    ...['NOPE', '0', '1.5', '99999999999999999999'].map(
      (text) => `POST /containers/no-such/kill?signal=${text}`,
    ),
    ...['-1', '65', '4000000000'].map((text) => `POST /containers/$c/kill?signal=${text}`),
    'POST /containers/$c/kill?signal=%2B1',
  ],
  'sizes that no terminal has': [
    create({ Image: 'busybox', Tty: true, Cmd: ['sleep', '60'] }),
    'POST /containers/$c/start',
    ...['-1', '70000', '9223372036854775807', '9223372036854775808', '%00'].map(
      (text) => `POST /containers/$c/resize?h=${text}&w=80`,
    ),
  ],
  'attached to no stream': [
    create({ Image: 'busybox', Cmd: ['sleep', '60'] }),
    'POST /containers/$c/start',
    'POST /containers/$c/attach?stream=1',
  ],
  'times that are none': [
    create({ Image: 'busybox' }),
    ...['x', '1.', '1.x', '.5', '99999999999999999999'].map(
      (text) => `GET /containers/$c/logs?stdout=1&since=${text}`,
    ),
  ],
  'what the build cache can not be pruned by': [
    ...['', 'x', '10', '1e9', '2001-01-01', '1h2'].map(
      (text) => `POST /build/prune?filters={"until":["${text}"]}`,
    ),
    'POST /build/prune?filters={"unused-for":["x"]}',
    'POST /build/prune?filters={"until":["1h","2h"]}',
    'POST /build/prune?filters={"until":["1h"],"unused-for":["1h"]}',
    'POST /build/prune?filters={"id":["a","b"],"until":["x"]}',
    ...['id', 'parent', 'type', 'description', 'inuse', 'shared', 'private'].map(
      (name) => `POST /build/prune?filters={"${name}":["a","b"]}`,
    ),
    // ignored, and with nothing else it would prune what other cases have built
    'POST /build/prune?filters={"label":["a","b"],"id":["no-such"]}',
  ],
});

httpCases('errors: images', {
  'tag without a repository': 'POST /images/busybox/tag',
  'tag with a bad tag': 'POST /images/busybox/tag?repo=$c&tag=-x',
  push: 'POST /images/no-such-image/push',
  'pull of nothing': 'POST /images/create',
  'pull with malformed credentials': {
    request: 'POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest',
    headers: { 'X-Registry-Auth': 'nonsense' },
  },
  'load of nothing': {
    request: 'POST /images/load',
    body: '',
    headers: { 'Content-Type': 'application/x-tar' },
  },
  'search for nothing': 'GET /images/search',
  'search for an address': 'GET /images/search?term=https://x/y',
  'pull of the reserved name': 'POST /images/create?fromImage=scratch&tag=latest',
  'pull of a tag that is given twice':
    'POST /images/create?fromImage=127.0.0.1:5000/busybox:no-such&tag=latest',
  'import for another system': 'POST /images/create?fromSrc=-&platform=windows',
  'import from an address of another kind': 'POST /images/create?fromSrc=ftp://x',
  'inspect of a name that is none': 'GET /images/UPPER/json',
});

httpCases('errors: filters', {
  'without a value': [
    { request: 'POST /networks/create', body: { Name: '$c' } },
    { request: 'POST /volumes/create', body: { Name: '$c' } },
    create({ Image: 'busybox' }),
    ...['ancestor', 'network', 'volume', 'is-task', 'status', 'exited', 'health', 'id', 'expose'].map(
      (name) => `GET /containers/json?all=1&filters={"name":["$c"],"${name}":[]}`,
    ),
    'GET /images/json?filters={"reference":[]}',
    'GET /images/json?filters={"label":["$c"],"dangling":[]}',
    'GET /networks?filters={"name":["$c"],"type":[]}',
    'GET /networks?filters={"name":["$c"],"dangling":[]}',
    'GET /volumes?filters={"name":["$c"],"driver":[]}',
    'GET /volumes?filters={"label":["$c"],"dangling":[]}',
    'GET /volumes?filters={"label":["$c"],"name":[]}',
  ],
  'yes or no': [
    { request: 'POST /volumes/create', body: { Name: '$c' } },
    ...['1', '0', 'x', 'true","false'].flatMap((value) => [
      `GET /images/json?filters={"label":["$c"],"dangling":["${value}"]}`,
      `GET /volumes?filters={"name":["$c"],"dangling":["${value}"]}`,
      `POST /images/prune?filters={"label":["$c"],"dangling":["${value}"]}`,
    ]),
    ...['1', 'x'].map((value) => `GET /networks?filters={"name":["$c"],"dangling":["${value}"]}`),
    'GET /networks?filters={"dangling":["true","false"]}',
    ...['1', 'true","false'].map((value) => `GET /images/search?term=x&filters={"is-official":["${value}"]}`),
    'GET /containers/json?filters={"is-task":["1"]}',
  ],
  'ports that are none': ['', '/tcp', 'x', '80:81', '9-7', '7-', '65536', '%2B7'].flatMap((text) => [
    `GET /containers/json?filters={"publish":["${text}"]}`,
    `GET /containers/json?filters={"expose":["${text}"]}`,
  ]),
});
