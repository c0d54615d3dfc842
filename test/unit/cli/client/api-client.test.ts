import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiClient } from '../../../../src/cli/client/api-client';
import { pull } from '../../../../src/cli/client/pull';

test('a refused stream is told in the words of the daemon alone', async () => {
  const message = 'pull access denied for a-b, repository does not exist - or may require login';
  const server = createServer((_, reply) => {
    reply.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const client = new ApiClient(`tcp://127.0.0.1:${port}`);
    await expect(pull(client, 'a-b')).rejects.toMatchObject({ status: 404, message });
  } finally {
    server.close();
  }
});
