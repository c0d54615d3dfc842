import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import { sendError } from '../../../../src/api/v1.41/error-handler';
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
