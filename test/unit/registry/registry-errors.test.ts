import { blobError, registryError, requestError } from '../../../src/registry/registry-errors';

const image = { familiarName: '127.0.0.1:5000/app', familiar: '127.0.0.1:5000/app:1' };

function answer(code: string, message: string, detail?: unknown): Buffer {
  return Buffer.from(JSON.stringify({ errors: [{ code, message, detail }] }));
}

// Each as dockerd 20.10 reports it.
test.each([
  [
    404,
    answer('MANIFEST_UNKNOWN', 'manifest unknown', { Tag: '1' }),
    'NotFound',
    'manifest for 127.0.0.1:5000/app:1 not found: manifest unknown: manifest unknown',
  ],
  [404, answer('MANIFEST_UNKNOWN', 'manifest unknown'), 'Internal', 'manifest unknown'],
  [
    404,
    answer('MANIFEST_UNKNOWN', 'OCI index found', null),
    'NotFound',
    'manifest for 127.0.0.1:5000/app:1 not found: manifest unknown: OCI index found',
  ],
  [
    404,
    answer('NAME_UNKNOWN', 'repository name not known to registry', {}),
    'NotFound',
    'repository 127.0.0.1:5000/app not found: name unknown: repository name not known to registry',
  ],
  [
    403,
    answer('DENIED', 'requested access to the resource is denied', [{}]),
    'NotFound',
    "pull access denied for 127.0.0.1:5000/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
  ],
  [403, answer('DENIED', 'requested access to the resource is denied'), 'Internal', 'denied'],
  [
    401,
    answer('UNAUTHORIZED', 'authentication required', [{}]),
    'Internal',
    'unauthorized: authentication required',
  ],
  [401, Buffer.from('<html>'), 'Internal', 'unauthorized: authentication required'],
  [429, answer('TOOMANYREQUESTS', 'slow down'), 'Internal', 'toomanyrequests: slow down'],
  [418, answer('TEAPOT', 'short and stout'), 'Internal', 'unknown: short and stout'],
  [500, Buffer.from('oops'), 'Internal', 'received unexpected HTTP status: 500 Internal Server Error'],
  [
    503,
    answer('UNAVAILABLE', 'service unavailable'),
    'Internal',
    'received unexpected HTTP status: 503 Service Unavailable',
  ],
])('status %i: %s', (status, body, code, message) => {
  expect(registryError(status, body, image)).toMatchObject({ code, message });
});

test('a body that is no list of errors is shown, cut', () => {
  const error = registryError(404, Buffer.from('x'.repeat(5000)), image);
  expect(error.message).toContain('error parsing HTTP 404 response body');
  expect(error.message.length).toBeLessThan(300);
  for (const body of ['{"errors":[]}', '{"errors":7}', 'null', '[]', '{"errors":[null]}'])
    expect(registryError(400, Buffer.from(body), image)).toMatchObject({ code: 'Internal' });
});

test('a missing blob', () => {
  expect(blobError(404, answer('BLOB_UNKNOWN', 'blob unknown to registry'), image).message).toBe(
    'unknown blob',
  );
});

test.each([
  [
    { code: 'ECONNREFUSED', address: '127.0.0.1', port: 5000 },
    'dial tcp 127.0.0.1:5000: connect: connection refused',
  ],
  [{ code: 'ECONNREFUSED', address: '::1', port: 5000 }, 'dial tcp [::1]:5000: connect: connection refused'],
  [
    { code: 'ENETUNREACH', address: '10.0.0.1', port: 443 },
    'dial tcp 10.0.0.1:443: connect: network is unreachable',
  ],
  [{ code: 'ENOTFOUND', hostname: 'no.such' }, 'dial tcp: lookup no.such: no such host'],
  [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'x509: certificate signed by unknown authority'],
  [{ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'http: server gave HTTP response to HTTPS client'],
])('request error %j', (fields, reason) => {
  const error = requestError('GET', 'https://host/v2/', Object.assign(new Error('x'), fields));
  expect(error).toMatchObject({ code: 'Internal', message: `Get "https://host/v2/": ${reason}` });
});
