import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import type { ProgressMessage } from '../../../src/storage/contract/stores';
import type { RegistryAuth } from '../../../src/registry/auth';
import { makeTar } from '../../support/images/tar-maker';
import { mediaTypes, ScriptedRegistry, sendError, sha256, type LayerSource } from './scripted-registry';
import { openLab, statuses, type StorageLab } from './storage-lab';

const layer = (name: string, bytes = 100): LayerSource => ({
  tar: makeTar([{ name, data: randomBytes(bytes).toString('hex') }]),
});
const shortId = (digest: string): string => digest.slice(7, 19);

describe('pulling', () => {
  let lab: StorageLab;
  let registry: ScriptedRegistry;
  beforeEach(async () => {
    lab = await openLab();
    registry = await ScriptedRegistry.start();
  });
  afterEach(async () => {
    await registry.stop();
    lab.close();
  });

  async function pull(
    name: string,
    options: {
      platform?: { os: string; architecture: string; variant?: string };
      auth?: RegistryAuth;
      allTags?: boolean;
      signal?: AbortSignal;
      messages?: ProgressMessage[];
    } = {},
  ): Promise<ProgressMessage[]> {
    const { signal, messages = [], ...rest } = options;
    const reference = name.includes('/') ? name : `${registry.host}/${name}`;
    await lab.storage.images.pull(
      reference,
      rest,
      (message) => messages.push(message),
      signal ?? new AbortController().signal,
    );
    return messages;
  }

  test('a redirect with a body without end leaves no connection', async () => {
    registry.addImage('app', 'latest', [layer('a')]);
    const closed: Promise<unknown>[] = [];
    registry.faults.push((request, response) => {
      if (!/blobs\/sha256:\w+$/.test(request.url ?? '')) return false;
      response.writeHead(307, { location: `${request.url ?? ''}?again` });
      closed.push(once(response, 'close'));
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
      return true;
    });
    await pull('app');
    expect(closed).toHaveLength(2);
    await Promise.all(closed);
  });

  test("gives dockerd's lines, image and event", async () => {
    const events: string[] = [];
    lab.storage.images.onEvent(({ action, id, attributes }) =>
      events.push(`${action} ${id} ${JSON.stringify(attributes)}`),
    );
    const layers = ['a', 'b', 'c', 'd', 'e'].map((name) => layer(name, 20_000));
    const { manifest, layerDigests, imageId } = registry.addImage('app', 'latest', layers);
    const messages = await pull('app');
    expect(messages[0]).toEqual({ status: 'Pulling from app', id: 'latest' });
    for (const [i, digest] of layerDigests.entries()) {
      expect(statuses(messages, shortId(digest))).toEqual([
        'Pulling fs layer',
        ...(i > 2 ? ['Waiting'] : []),
        'Downloading',
        'Verifying Checksum',
        'Download complete',
        'Extracting',
        'Pull complete',
      ]);
    }
    expect(statuses(messages)).toEqual([
      `Digest: ${manifest.digest}`,
      `Status: Downloaded newer image for ${registry.host}/app:latest`,
    ]);
    expect(lab.storage.images.get(`${registry.host}/app`)).toMatchObject({
      id: imageId,
      repoTags: [`${registry.host}/app:latest`],
      repoDigests: [`${registry.host}/app@${manifest.digest}`],
      sizeBytes: 5 * 40_000,
    });
    expect(events).toEqual([`pull ${registry.host}/app:latest {"name":"${registry.host}/app"}`]);

    const again = await pull('app');
    expect(again).toHaveLength(3); // not a word of layers
    expect(statuses(again)[1]).toBe(`Status: Image is up to date for ${registry.host}/app:latest`);
  });

  test('a tag that moved leaves the old image without a name', async () => {
    const first = registry.addImage('app', 'latest', [layer('a')]);
    await pull('app');
    registry.addImage('app', 'latest', [layer('b')]);
    expect(statuses(await pull('app'))[1]).toContain('Downloaded newer image');
    expect(lab.storage.images.get(first.imageId)).toMatchObject({ repoTags: [] });
  });

  test('by digest, and by tag and digest', async () => {
    const { manifest, imageId } = registry.addImage('app', 'v1', [layer('a')]);
    const byDigest = `${registry.host}/app@${manifest.digest}`;
    const messages = await pull(byDigest);
    expect(messages[0]).toEqual({ status: 'Pulling from app', id: byDigest });
    expect(statuses(messages)[1]).toBe(`Status: Downloaded newer image for ${byDigest}`);
    expect(lab.storage.images.get(byDigest)).toMatchObject({ id: imageId, repoTags: [] });
    const both = `${registry.host}/app:v1@${manifest.digest}`;
    expect(statuses(await pull(both))[1]).toBe(`Status: Image is up to date for ${both}`);
  });

  test('all tags, with one status for all', async () => {
    registry.addImage('app', 'one', [layer('a')]);
    registry.addImage('app', 'two', [layer('b')]);
    const messages = await pull('app', { allTags: true });
    expect(messages.filter(({ status }) => status === 'Pulling from app').map(({ id }) => id)).toEqual([
      'one',
      'two',
    ]);
    expect(statuses(messages).filter((status) => status.startsWith('Status'))).toEqual([
      `Status: Downloaded newer image for ${registry.host}/app`,
    ]);
    expect(lab.storage.images.list()).toHaveLength(2);
  });

  test('layers of OCI: plain, zstd, and one that stands twice', async () => {
    const plain = layer('plain');
    const zstd = layer('zstd');
    registry.addImage(
      'oci',
      'latest',
      [
        { ...plain, blob: plain.tar },
        { ...zstd, blob: execFileSync('zstd', ['-qc'], { input: zstd.tar }) },
        { ...plain, blob: plain.tar },
      ],
      { oci: true },
    );
    await pull('oci');
    expect(lab.storage.layers.list()).toHaveLength(2);
    expect(lab.storage.images.get(`${registry.host}/oci`).config.rootfs.diff_ids).toHaveLength(3);
  });

  describe('of a list', () => {
    let ids: Record<string, string>;
    beforeEach(() => {
      ids = {};
      const manifests = ['amd64', 'arm64'].map((architecture) => {
        const { manifest, imageId } = registry.addImage('multi', undefined, [layer(architecture)], {
          config: { architecture },
        });
        ids[architecture] = imageId;
        return {
          mediaType: mediaTypes.manifest,
          size: manifest.body.length,
          digest: manifest.digest,
          platform: { os: 'linux', architecture },
        };
      });
      registry.addManifest(
        'multi',
        { schemaVersion: 2, mediaType: mediaTypes.list, manifests },
        mediaTypes.list,
        'latest',
      );
    });

    test.each([
      [undefined, 'amd64'],
      [{ os: 'linux', architecture: 'arm64' }, 'arm64'],
    ])('%j is %s', async (platform, architecture) => {
      await pull('multi', platform === undefined ? {} : { platform });
      expect(lab.storage.images.get(`${registry.host}/multi`).id).toBe(ids[architecture]);
    });

    test('a platform it has not', async () => {
      await expect(
        pull('multi', { platform: { os: 'windows', architecture: 'amd64' } }),
      ).rejects.toMatchObject({
        code: 'NotFound',
        message: 'no matching manifest for windows/amd64 in the manifest list entries',
      });
    });

    test('an image without a list is taken, with a warning', async () => {
      registry.addImage('single', 'latest', [layer('x')]);
      const messages = await pull('single', {
        platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
      });
      expect(messages.at(-1)?.status).toBe(
        `WARNING: image with reference ${registry.host}/single was found but does not match the specified platform: ` +
          'wanted linux/arm/v7, actual: linux/amd64',
      );
    });
  });

  describe('what is wrong ends in an error and leaves nothing', () => {
    const good = layer('good');
    const hostile = { tar: makeTar([{ name: '../../etc/cron.d/evil', type: '9' }]) };
    test.each<[string, (name: string) => void, string]>([
      ['no such tag', () => undefined, 'manifest unknown'],
      [
        'a blob of other content',
        (name) => {
          const { layerDigests } = registry.addImage(name, 'latest', [good, layer('b')]);
          registry.addBlob(gzipSync(layer('c').tar), layerDigests[1]);
        },
        'filesystem layer verification failed for digest sha256:',
      ],
      [
        'a blob that never ends',
        (name) => {
          const { layerDigests } = registry.addImage(name, 'latest', [layer('b')]);
          registry.faults.push((request, response) => {
            if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
            const more = (): void => {
              while (!response.destroyed && response.write(Buffer.alloc(65_536)));
            };
            response.on('drain', more);
            more();
            return true;
          });
        },
        'filesystem layer verification failed for digest sha256:',
      ],
      [
        'a cut tar',
        (name) => registry.addImage(name, 'latest', [good, { tar: good.tar.subarray(0, 600) }]),
        'failed to register layer: Error processing tar file(exit status 1): unexpected EOF',
      ],
      [
        'a hostile tar',
        (name) => registry.addImage(name, 'latest', [good, hostile]),
        'failed to register layer: Error processing tar file(exit status 1): unhandled tar header type 57',
      ],
      [
        'a tar that is none',
        (name) => registry.addImage(name, 'latest', [{ tar: Buffer.alloc(2000, 'x') }]),
        'archive/tar: invalid tar header',
      ],
      [
        'another diff ID',
        (name) => registry.addImage(name, 'latest', [{ ...layer('d'), diffId: sha256('x') }]),
        "layers from manifest don't match image configuration",
      ],
      [
        'too few diff IDs',
        (name) => registry.addImage(name, 'latest', [good], { config: { rootfs: { diff_ids: [] } } }),
        "layers from manifest don't match image configuration",
      ],
      [
        'another system',
        (name) => registry.addImage(name, 'latest', [good], { config: { os: 'windows' } }),
        'image operating system "windows" cannot be used on this platform',
      ],
      [
        'a missing layer',
        (name) => {
          const { layerDigests } = registry.addImage(name, 'latest', [layer('e')]);
          registry.faults.push((request, response) => {
            if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
            sendError(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
            return true;
          });
        },
        'unknown blob',
      ],
      [
        'another configuration',
        (name) => {
          const { imageId } = registry.addImage(name, 'latest', [good]);
          registry.addBlob(Buffer.from('{}'), imageId);
        },
        'error pulling image configuration: image config verification failed for digest sha256:',
      ],
      [
        'a manifest that is none',
        (name) => registry.addManifest(name, Buffer.from('<html>'), 'text/html', 'latest'),
        'not JSON',
      ],
      [
        'schema 1',
        (name) =>
          registry.addManifest(name, { schemaVersion: 1, fsLayers: [] }, 'application/json', 'latest'),
        'schema 1 is not supported',
      ],
    ])('%s', async (_what, prepare, message) => {
      prepare('bad');
      await expect(pull('bad')).rejects.toMatchObject({
        name: 'DaemonError',
        message: expect.stringContaining(message) as string,
      });
      expect(lab.files()).toEqual([]);
      expect(lab.storage.images.list()).toEqual([]);
      expect(lab.storage.documents.all('layer-references')).toEqual([]);
    });

    test('layers that another image has are not pulled again, and stay', async () => {
      const { layerDigests } = registry.addImage('good', 'latest', [good]);
      await pull('good');
      const before = lab.files();
      registry.addImage('bad', 'latest', [good, hostile]);
      const messages: ProgressMessage[] = [];
      await expect(pull('bad', { messages })).rejects.toThrow('unhandled tar header type');
      expect(statuses(messages, shortId(layerDigests[0]!))).toEqual(['Already exists']);
      expect(lab.files()).toEqual(before);
    });

    test('a layer of another digest is not called complete', async () => {
      const { layerDigests } = registry.addImage('app', 'latest', [layer('b')]);
      registry.addBlob(gzipSync(layer('c').tar), layerDigests[0]);
      const messages: ProgressMessage[] = [];
      await expect(pull('app', { messages })).rejects.toThrow('filesystem layer verification failed');
      expect(statuses(messages, shortId(layerDigests[0]!))).not.toContain('Download complete');
    });

    test('a manifest of another digest', async () => {
      const { manifest } = registry.addImage('app', 'latest', [good]);
      const wrong = sha256('other');
      registry.faults.push((request, response) => {
        if (request.url?.endsWith(wrong) !== true) return false;
        response.end(manifest.body);
        return true;
      });
      await expect(pull(`${registry.host}/app@${wrong}`)).rejects.toThrow(
        `manifest verification failed for digest ${wrong}`,
      );
    });

    test('nobody there', async () => {
      await expect(pull('127.0.0.1:1/app')).rejects.toMatchObject({
        code: 'Internal',
        message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
      });
    });
  });

  describe('a bad connection', () => {
    test('is taken up again where it broke', async () => {
      const source = layer('big', 300_000);
      const blob = gzipSync(source.tar);
      const { layerDigests } = registry.addImage('app', 'latest', [{ ...source, blob }]);
      let cuts = 0;
      registry.faults.push((request, response) => {
        if (request.url?.endsWith(layerDigests[0]!) !== true || cuts === 3) return false;
        cuts += 1;
        const start = Number(/bytes=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
        response.statusCode = start > 0 ? 206 : 200;
        if (start > 0)
          response.setHeader('content-range', `bytes ${start}-${blob.length - 1}/${blob.length}`);
        response.setHeader('content-length', blob.length - start);
        response.write(blob.subarray(start, start + 50_000), () => response.destroy());
        return true;
      });
      const messages = await pull('app');
      const asked = registry.requests.filter((line) => line.includes(layerDigests[0]!));
      expect(asked).toHaveLength(4);
      expect(asked.slice(1).every((line) => line.includes('bytes='))).toBe(true);
      expect(statuses(messages)[1]).toContain('Downloaded newer image');
    });

    test('also with a registry that knows no ranges', async () => {
      const source = layer('big', 200_000);
      const blob = gzipSync(source.tar);
      const { layerDigests } = registry.addImage('app', 'latest', [{ ...source, blob }]);
      let cuts = 0;
      registry.faults.push((request, response) => {
        if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
        cuts += 1;
        response.setHeader('content-length', blob.length);
        if (cuts === 1) response.write(blob.subarray(0, 60_000), () => response.destroy());
        else response.end(blob);
        return true;
      });
      await pull('app');
      expect(cuts).toBe(2);
    });

    test('that gives errors is tried again, and says so', async () => {
      const { layerDigests } = registry.addImage('app', 'latest', [layer('a')]);
      let failures = 0;
      registry.faults.push((request, response) => {
        if (request.url?.endsWith(layerDigests[0]!) !== true || failures === 1) return false;
        failures += 1;
        sendError(response, 503, 'UNAVAILABLE', 'later');
        return true;
      });
      const messages = await pull('app');
      expect(statuses(messages, shortId(layerDigests[0]!))).toContain('Retrying in 1 second');
    });

    test('who leaves leaves nothing', async () => {
      const { layerDigests } = registry.addImage('app', 'latest', [layer('a', 200_000), layer('b')]);
      const stop = new AbortController();
      registry.faults.push((request, response) => {
        if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
        response.write(Buffer.alloc(100)); // and then nothing
        setTimeout(() => {
          stop.abort();
        }, 100);
        return true;
      });
      await expect(pull('app', { signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
      expect(lab.files()).toEqual([]);
      expect(lab.storage.images.list()).toEqual([]);
    });
  });

  test('two pulls with a common layer download it once, and one may leave', async () => {
    const common = layer('common', 100_000);
    const { layerDigests } = registry.addImage('one', 'latest', [common, layer('1')]);
    registry.addImage('two', 'latest', [common, layer('2')]);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    registry.faults.push((request, response) => {
      if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
      asked += 1;
      void held.then(() => response.end(gzipSync(common.tar)));
      return true;
    });
    const stop = new AbortController();
    const messages: ProgressMessage[] = [];
    const one = pull('one', { signal: stop.signal });
    const two = pull('two', { messages });
    while (!messages.some(({ status }) => status === 'Pulling fs layer') || asked === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await expect(one).rejects.toMatchObject({ name: 'AbortError' });
    release();
    await two;
    expect(asked).toBe(1);
    expect(lab.storage.images.list()).toHaveLength(1);
  });

  describe('with authentication', () => {
    /** A token server at `/token`, whose tokens are good for `uses` requests. */
    function askForTokens(uses: number): string[] {
      const asked: string[] = [];
      let left = 0;
      registry.faults.push((request, response) => {
        const url = new URL(request.url ?? '', 'http://registry');
        if (url.pathname === '/token') {
          asked.push(`${url.search} ${request.headers.authorization ?? ''}`);
          const wanted = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
          if (request.headers.authorization !== wanted) sendError(response, 401, 'UNAUTHORIZED', 'no');
          else {
            left = uses;
            response.end(JSON.stringify({ token: 'good', refresh_token: 'identity' }));
          }
          return true;
        }
        if (request.headers.authorization === 'Bearer good' && left > 0) {
          left -= 1;
          return false;
        }
        response.setHeader(
          'www-authenticate',
          `Bearer realm="http://${registry.host}/token",service="registry",scope="repository:app:pull"`,
        );
        sendError(response, 401, 'UNAUTHORIZED', 'authentication required');
        return true;
      });
      return asked;
    }
    const alice = { username: 'alice', password: 'secret' };

    test.each([
      ['a name and a password', alice],
      ['both in one', { auth: Buffer.from('alice:secret').toString('base64') }],
    ])('%s get a token', async (_what, auth) => {
      registry.addImage('app', 'latest', [layer('a')]);
      const asked = askForTokens(100);
      await pull('app', { auth });
      expect(asked).toHaveLength(1);
      expect(asked[0]).toContain('service=registry');
      expect(asked[0]).toContain('scope=repository%3Aapp%3Apull');
    });

    test('a token that expires is renewed', async () => {
      registry.addImage('app', 'latest', [layer('a'), layer('b'), layer('c')]);
      const asked = askForTokens(3);
      await pull('app', { auth: alice });
      expect(asked.length).toBeGreaterThan(1);
    });

    test("the wrong password, in Docker's words and nowhere else", async () => {
      registry.addImage('app', 'latest', [layer('a')]);
      askForTokens(100);
      const error = await pull('app', { auth: { username: 'alice', password: 'wrong!' } }).catch(
        (reason: unknown) => reason as Error,
      );
      expect(error).toMatchObject({
        message: `Head "http://${registry.host}/v2/app/manifests/latest": unauthorized: incorrect username or password`,
      });
      expect(JSON.stringify(error)).not.toContain('wrong!');
    });

    test('a login gives the identity token', async () => {
      askForTokens(100);
      await expect(
        lab.storage.images.login({ ...alice, serveraddress: `http://${registry.host}/v2/` }),
      ).resolves.toEqual({ status: 'Login Succeeded', identityToken: 'identity' });
      await expect(
        lab.storage.images.login({ ...alice, password: 'no', serveraddress: registry.host }),
      ).rejects.toMatchObject({
        code: 'Internal',
        message: `Get "http://${registry.host}/v2/": unauthorized: incorrect username or password`,
      });
      await expect(lab.storage.images.login({ serveraddress: 'a b' })).rejects.toMatchObject({
        code: 'InvalidParameter',
      });
    });

    test('credentials do not follow a redirect to another host', async () => {
      const other = await ScriptedRegistry.start();
      try {
        const { layerDigests } = registry.addImage('app', 'latest', [layer('a')]);
        const blob = registry.blob(layerDigests[0]!)!;
        let seen: string | undefined = 'nothing';
        other.faults.push((request, response) => {
          seen = request.headers.authorization;
          response.end(blob);
          return true;
        });
        askForTokens(100);
        registry.faults.push((request, response) => {
          if (request.url?.endsWith(layerDigests[0]!) !== true) return false;
          response.statusCode = 307;
          response.setHeader('location', `http://${other.host}/storage?signature=secret`);
          response.end();
          return true;
        });
        await pull('app', { auth: alice });
        expect(seen).toBeUndefined();
      } finally {
        await other.stop();
      }
    });
  });

  test('mirrors are asked first for what is on Docker Hub, and passed over when they fail', async () => {
    lab.close();
    const broken = await ScriptedRegistry.start();
    try {
      lab = await openLab({ registryMirrors: [`http://${broken.host}`, `http://${registry.host}`] });
      registry.addImage('library/app', 'latest', [layer('a')]);
      await lab.storage.images.pull(
        'app',
        { auth: { username: 'hub', password: 'x' } },
        () => undefined,
        new AbortController().signal,
      );
      expect(lab.storage.images.get('app').repoTags).toEqual(['app:latest']);
      expect(broken.requests).toEqual(['GET /v2/', 'GET /v2/library/app/manifests/latest']);
    } finally {
      await broken.stop();
    }
  });
});
