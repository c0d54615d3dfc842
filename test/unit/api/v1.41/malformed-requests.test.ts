import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend } from '../fake-backend';
import { malformedRequests } from './malformed-requests';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));

describe('malformed requests are refused as dockerd refuses them', () => {
  test.each(malformedRequests)('%s %s %s: %d', async (method, path, body, status, message) => {
    const verb = method.toLowerCase() as 'get' | 'post';
    const pending = request(app)[verb](`/v1.41${path}`);
    if (method === 'POST') pending.set('Content-Type', 'application/json').send(body);
    const response = await pending;
    expect([response.status, response.body]).toEqual([status, { message }]);
  });

  test('none of them reached the engine', () => {
    const calls = Object.values(backend).flatMap((group) =>
      Object.values(group as Record<string, jest.Mock<unknown, unknown[]>>).flatMap(
        (mock) => mock.mock.calls,
      ),
    );
    expect(calls).toEqual([]);
  });
});
