// What the cluster's API answers, or doesn't.

import { callApi, requestTimeoutMs } from '../../../../src/cluster/client/api-error';

it.each([
  [404, 'NotFound'],
  [409, 'Conflict'],
  [422, 'InvalidParameter'],
  [403, 'Forbidden'],
  [429, 'Unavailable'],
  [500, 'Internal'],
])('has %d as %s, with the words of the API', async (code, ours) => {
  const body = JSON.stringify({ message: 'pods "x" are so' });
  const call = callApi(() => Promise.reject(Object.assign(new Error('HTTP'), { code, body })));
  await expect(call).rejects.toMatchObject({ code: ours, message: 'pods "x" are so' });
});

it('does not wait for ever for an API that takes requests and answers none', async () => {
  jest.useFakeTimers();
  const ended = jest.fn();
  callApi(() => new Promise(() => undefined)).catch(ended);
  await jest.advanceTimersByTimeAsync(requestTimeoutMs);
  expect(ended).toHaveBeenCalledWith(expect.objectContaining({ code: 'Unavailable' }));
});
