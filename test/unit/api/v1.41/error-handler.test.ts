import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import { describeError, sendError } from '../../../../src/api/v1.41/error-handler';
import { DaemonError } from '../../../../src/errors';

test('a client that has left in the middle of its body does no harm', () => {
  jest.useFakeTimers();
  try {
    const request = new IncomingMessage(new Socket());
    const response = new ServerResponse(request);
    sendError(request, response, new DaemonError('Internal', 'no space left on device'));
    Object.assign(request, { socket: null }); // as Node does when the connection is closed
    response.emit('finish');
    expect(() => jest.runAllTimers()).not.toThrow();
  } finally {
    jest.useRealTimers();
  }
});

test('a full disk is told of in the words of Go', () => {
  const request = new IncomingMessage(new Socket());
  const full = (details: object): Error =>
    Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', ...details });
  const told = [{ syscall: 'mkdir', path: '/a' }, { syscall: 'write' }, {}].map(
    (details) => describeError(request, full(details)).message,
  );
  expect(told).toEqual([
    'mkdir /a: no space left on device',
    'write: no space left on device',
    'no space left on device',
  ]);
});
