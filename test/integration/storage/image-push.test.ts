// docker push against Debian's docker-registry, also over a connection that breaks.

import { randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { startLocalRegistry, type LocalRegistry } from '../../support/images/registry';
import { makeTar } from '../../support/images/tar-maker';
import { sha256 } from './scripted-registry';
import { openLab, statuses, type StorageLab } from './storage-lab';
import type { ProgressMessage } from '../../../src/storage/contract/stores';

const never = new AbortController().signal;
const auth = {};
jest.setTimeout(60_000);

/** A docker-archive of one image with these layers, as they are. */
function archiveOf(tag: string, layers: readonly { tar: Buffer; stored: Buffer }[]): Buffer {
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => sha256(tar)) },
  });
  const names = layers.map((_, i) => `${i}.tar`);
  return makeTar([
    { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', RepoTags: [tag], Layers: names }]) },
    { name: 'c.json', data: config },
    ...layers.map(({ stored }, i) => ({ name: `${i}.tar`, data: stored })),
  ]);
}

const plain = makeTar([{ name: 'plain', data: 'world' }]);
const large = makeTar([{ name: 'large', data: randomBytes(1_500_000) }]);
const layers = [
  { tar: plain, stored: plain },
  { tar: large, stored: gzipSync(large) },
];

async function load(lab: StorageLab, tag: string): Promise<void> {
  const archive = Readable.from([archiveOf(tag, layers)]);
  await lab.storage.images.load(archive, { quiet: true }, () => undefined, never);
}

/** Passes requests on; `cut` says for which ones the connection is to break in the middle of the body. */
async function startProxy(
  host: string,
  cut: (request: IncomingMessage) => boolean,
): Promise<{ host: string; server: Server; bodies: number[] }> {
  const bodies: number[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '' } = incoming;
    const breaks = cut(incoming);
    const [hostname = '', port = ''] = host.split(':');
    const headers = { ...incoming.headers };
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    let received = 0;
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length;
      onward.write(chunk);
      if (!breaks || received < 500_000) return;
      onward.destroy();
      incoming.destroy();
    });
    incoming.on('end', () => onward.end());
    incoming.on('close', () => {
      if (method === 'PATCH') bodies.push(received);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // listens on a port
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, server, bodies };
}

describe('push', () => {
  let registry: LocalRegistry;
  let lab: StorageLab;
  beforeAll(async () => {
    registry = await startLocalRegistry();
    lab = await openLab();
  });
  afterAll(async () => {
    lab.close();
    await registry.stop();
  });

  const push = async (reference: string, signal = never): Promise<ProgressMessage[]> => {
    const messages: ProgressMessage[] = [];
    await lab.storage.images.push(reference, { auth }, (message) => messages.push(message), signal);
    return messages;
  };
  const shortIds = layers.map(({ tar }) => sha256(tar).slice('sha256:'.length, 'sha256:'.length + 12));

  test('what is new goes out, what is there is not sent again, another repository mounts it', async () => {
    await load(lab, `${registry.host}/app:1`);
    const first = await push(`${registry.host}/app:1`);
    for (const id of shortIds) expect(statuses(first, id)).toEqual(['Preparing', 'Pushing', 'Pushed']);
    const digest = first.at(-1)?.aux?.['Digest'];
    const again = await push(`${registry.host}/app:1`);
    for (const id of shortIds) expect(statuses(again, id)).toEqual(['Preparing', 'Layer already exists']);
    expect(again.at(-1)?.aux?.['Digest']).toBe(digest);
    const { id } = lab.storage.images.get(`${registry.host}/app:1`);
    lab.storage.images.tag(id, `${registry.host}/other:1`);
    const other = await push(`${registry.host}/other`);
    for (const layer of shortIds) expect(statuses(other, layer)).toEqual(['Preparing', 'Mounted from app']);
    expect(lab.storage.images.get(`${registry.host}/other:1`).repoDigests).toHaveLength(2);
  });

  test('what was pushed comes back as it was, and is pushed on with the same digest', async () => {
    const there = await openLab();
    try {
      const reference = `${registry.host}/app:1`;
      await there.storage.images.pull(reference, {}, () => undefined, never);
      const image = there.storage.images.get(reference);
      expect(image.id).toBe(lab.storage.images.get(reference).id);
      there.storage.images.tag(image.id, `${registry.host}/third:1`);
      const messages: ProgressMessage[] = [];
      const tell = (message: ProgressMessage): void => void messages.push(message);
      await there.storage.images.push(`${registry.host}/third:1`, { auth }, tell, never);
      expect(image.repoDigests[0]).toContain(messages.at(-1)?.aux?.['Digest']);
    } finally {
      there.close();
    }
  });

  test('an upload that breaks goes on where it was', async () => {
    let breaks = 1;
    const isLarge = ({ headers, method }: IncomingMessage): boolean =>
      method === 'PATCH' && Number(headers['content-length'] ?? 0) > 1_000_000;
    const proxy = await startProxy(registry.host, (request) => isLarge(request) && breaks-- > 0);
    try {
      await load(lab, `${proxy.host}/broken:1`);
      const messages = await push(`${proxy.host}/broken:1`);
      expect(statuses(messages, shortIds[1])).toEqual([
        'Preparing',
        'Pushing',
        'Retrying in 1 second',
        'Pushing',
        'Pushed',
      ]);
      const sent = proxy.bodies.reduce((sum, size) => sum + size, 0);
      const size = layers[1]?.stored.length ?? 0;
      expect(sent).toBeLessThan(2 * size);
      const there = await openLab();
      await there.storage.images.pull(`${registry.host}/broken:1`, {}, () => undefined, never);
      there.close();
    } finally {
      proxy.server.closeAllConnections();
      proxy.server.close();
    }
  });

  test('one that is given up leaves no tag', async () => {
    const controller = new AbortController();
    const proxy = await startProxy(registry.host, ({ method }) => {
      if (method === 'PATCH') controller.abort();
      return false;
    });
    try {
      await load(lab, `${proxy.host}/aborted:1`);
      await expect(push(`${proxy.host}/aborted:1`, controller.signal)).rejects.toThrow();
      const answer = await fetch(`http://${registry.host}/v2/aborted/manifests/1`);
      expect(answer.status).toBe(404);
    } finally {
      proxy.server.closeAllConnections();
      proxy.server.close();
    }
  });
});
