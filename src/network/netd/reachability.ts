// Whether something answers at an address of a container: a TCP connection, or an HTTP request.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { NetdProbe } from '../addresses/netd-protocol';

/** Resolves with '' when it does, else with why not. Never rejects, and ends within the probe's time. */
export function probeAddress(probe: NetdProbe): Promise<string> {
  return probe.http === undefined ? probeTcp(probe) : probeHttp(probe, probe.http);
}

function probeTcp({ address, port, timeoutMs }: NetdProbe): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (message: string): void => {
      clearTimeout(timer);
      resolve(message);
      socket.destroy();
    };
    const timer = setTimeout(() => settle('timed out'), timeoutMs);
    socket.once('connect', () => settle(''));
    socket.once('error', (error) => settle(error.message));
  });
}

/** The status decides; the body is not read, and redirects are not followed. A certificate is not checked. */
function probeHttp(
  { address, port, timeoutMs }: NetdProbe,
  { scheme, path, headers }: NonNullable<NetdProbe['http']>,
): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: address, port, path, headers, agent: false, rejectUnauthorized: false };
    const settle = (message: string): void => {
      clearTimeout(timer);
      resolve(message);
      request.destroy();
    };
    const request = scheme === 'https' ? httpsRequest(options) : httpRequest(options);
    const timer = setTimeout(() => settle('timed out'), timeoutMs);
    request.on('error', (error) => settle(error.message));
    request.once('response', ({ statusCode = 0 }) => {
      settle(statusCode >= 200 && statusCode < 400 ? '' : `HTTP status ${statusCode}`);
    });
    request.end();
  });
}
