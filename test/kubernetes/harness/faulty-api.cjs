// faulty-api.cjs DIR: stands between a daemon and the API server of the cluster in DIR, in its network, and has faults when it is told to, a
// word a line on stdin: `expire` ends each watch as expired and answers nothing for a while; `slow` lets Pods wait before they are made.
// Says its address.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { createInterface } = require('node:readline');
const { join } = require('node:path');
const tls = require('node:tls');

const [dir] = process.argv.slice(2);
const pki = (name) => readFileSync(join(dir, 'pki', name));
const upstream = { host: '127.0.0.1', port: 6443, ca: pki('ca.crt') };
const expired = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code: 410,
  reason: 'Expired',
  message: 'too old',
};
const silenceMs = 2_000;
const admissionMs = 8_000;

const watches = new Set();
let silentUntil = 0;
let isSlow = false;

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const server = http.createServer(async (request, response) => {
  const { method, url, headers } = request;
  const isWatch = url.includes('watch=true');
  const { pathname } = new URL(url, 'http://api');
  // what reads is held up, so that things happen meanwhile that no watch tells of
  if (method === 'GET') await pause(Math.max(0, silentUntil - Date.now()));
  if (isSlow && method === 'POST' && pathname.endsWith('/pods')) await pause(admissionMs);
  const forwarded = https.request({ ...upstream, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
    if (!isWatch) return;
    watches.add(response);
    response.on('close', () => watches.delete(response));
  });
  forwarded.on('error', () => response.destroy());
  response.on('close', () => forwarded.destroy());
  request.pipe(forwarded);
});

server.on('upgrade', (request, socket, head) => {
  const lines = [`${request.method} ${request.url} HTTP/1.1`];
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  const api = tls.connect(upstream, () => {
    api.write(`${lines.join('\r\n')}\r\n\r\n`);
    api.write(head);
    socket.pipe(api).pipe(socket);
  });
  for (const [one, other] of [
    [api, socket],
    [socket, api],
  ])
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
});

createInterface(process.stdin).on('line', (word) => {
  if (word === 'slow') isSlow = true;
  if (word === 'expire') {
    silentUntil = Date.now() + silenceMs;
    for (const response of watches) {
      response.write(`${JSON.stringify({ type: 'ERROR', object: expired })}\n`);
      response.end();
    }
  }
  process.stdout.write(`${word}\n`);
});
process.stdin.on('end', () => process.exit(0));
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));
