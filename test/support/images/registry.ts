// Debian's docker-registry on a free loopback port of the machine itself, with or without a password.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startGuarded, waitReady } from '../process/guarded-process';

export interface LocalRegistry {
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Uploads a blob; returns its digest. */
  putBlob(repository: string, body: Buffer): Promise<string>;
  /** Uploads a manifest; returns its digest. */
  putManifest(repository: string, tag: string, mediaType: string, manifest: object): Promise<string>;
  stop(): Promise<void>;
}

/** A user, and their line of an htpasswd file as `htpasswd -Bbn alice secret` writes it. */
export const alice = { username: 'alice', password: 'secret' };
export const aliceHtpasswd = 'alice:$2y$05$RDm.jqMg1oBgKR0U.9.eNeK0XsyL7MLY.P7iapDQ6y5UAwJwjdv3O';

export interface LocalRegistryOptions {
  /** `user` and its password, as a line of an htpasswd file with bcrypt: the registry then asks for them. */
  htpasswd?: string;
  /** Sent with uploads. */
  credentials?: { username: string; password: string };
}

/** Starts one with an empty storage of its own, which goes with it. */
export async function startLocalRegistry(options: LocalRegistryOptions = {}): Promise<LocalRegistry> {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-registry-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const auth = options.htpasswd === undefined ? {} : passwordFile(dir, options.htpasswd);
  const config = join(dir, 'config.json');
  writeFileSync(
    config,
    // a JSON document is a YAML document
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: join(dir, 'storage') } },
      http: { addr: host },
      ...auth,
    }),
  );
  const child = await startGuarded(['docker-registry', 'serve', config], { logPath: join(dir, 'log') });
  await waitReady(child, async () => {
    try {
      await fetch(`http://${host}/v2/`);
      return true;
    } catch {
      return false;
    }
  });
  const { username, password } = options.credentials ?? {};
  const authorization =
    username === undefined
      ? {}
      : { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` };
  const send = async (method: string, url: URL, headers: object, body?: Buffer): Promise<Response> => {
    const response = await fetch(url, {
      method,
      headers: { ...authorization, ...headers },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${url.href}: ${response.status} ${await response.text()}`);
    return response;
  };
  return {
    host,
    async putBlob(repository, body) {
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      const begin = new URL(`http://${host}/v2/${repository}/blobs/uploads/`);
      const started = await send('POST', begin, {});
      const url = new URL(started.headers.get('location') ?? '', begin);
      url.searchParams.set('digest', digest);
      await send('PUT', url, { 'content-type': 'application/octet-stream' }, body);
      return digest;
    },
    async putManifest(repository, tag, mediaType, manifest) {
      const body = Buffer.from(JSON.stringify(manifest));
      const url = new URL(`http://${host}/v2/${repository}/manifests/${tag}`);
      await send('PUT', url, { 'content-type': mediaType }, body);
      return `sha256:${createHash('sha256').update(body).digest('hex')}`;
    },
    async stop() {
      await child.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function passwordFile(dir: string, line: string): object {
  const path = join(dir, 'htpasswd');
  writeFileSync(path, `${line}\n`);
  return { auth: { htpasswd: { realm: 'test', path } } };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
