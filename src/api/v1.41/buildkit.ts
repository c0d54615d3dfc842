// BuildKit's connections: `/grpc`, on which we are called, and `/session`, on which we call the client. After `101` both are HTTP/2 on
// the socket, and none of the API's business. Where the daemon builds no other way than the classic one they are refused (501).

import type { IncomingMessage } from 'node:http';
import { Router } from 'express';
import { DaemonError } from '../../errors';
import { isUpgrade, takeSocket } from '../http/hijack';
import { queryText } from '../http/query';
import type { BuildKitBackend } from './backend';
import { noBuildKit, notImplemented } from './not-implemented';

const protocol = 'h2c';
const switching = `HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;

export function buildKitRoutes(backend: BuildKitBackend | undefined): Router {
  const router = Router({ caseSensitive: true, strict: true });

  // BuildCancel: 200 | 500 no id
  router.post('/build/cancel', (req, res) => {
    const id = queryText(req, 'id');
    if (id === '') throw new DaemonError('Internal', 'build ID not provided');
    if (backend === undefined) throw notImplemented('cancelling a build by its id');
    backend.cancel(id);
    res.status(200).end();
  });

  // Session: 101 | 400 without Upgrade, of another protocol, without an id | 501
  router.post('/session', (req, res) => {
    requireProtocol(req, 'InvalidParameter');
    if (backend === undefined) throw noBuildKit();
    const header = (name: string): readonly string[] => headerValues(req, name);
    backend.checkSession(header);
    const socket = takeSocket(req, res);
    socket.write(switching);
    backend.openSession(header, socket);
  });

  // 101 | 500 without Upgrade, of another protocol | 501
  router.post('/grpc', (req, res) => {
    requireProtocol(req, 'Internal');
    if (backend === undefined) throw noBuildKit();
    const socket = takeSocket(req, res);
    socket.write(switching);
    backend.serve(socket);
  });

  return router;
}

function requireProtocol(request: IncomingMessage, code: 'InvalidParameter' | 'Internal'): void {
  if (!isUpgrade(request)) throw new DaemonError(code, 'no upgrade proto in request');
  const { upgrade = '' } = request.headers;
  if (upgrade !== protocol) throw new DaemonError(code, `protocol ${upgrade} not supported`);
}

/** A header that comes more than once, as each was sent: Node joins them. `name` in lower case. */
function headerValues({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}
