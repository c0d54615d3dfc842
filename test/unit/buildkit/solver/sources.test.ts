import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import type { BuildScope } from '../../../../src/buildkit/contract/solver';
import {
  FakeDaemon,
  FakeHost,
  FakeSession,
  never,
  op,
  refOf,
  run,
  sessionsOf,
  tarOf,
  type Graph,
} from './fake-host';

/** git is many processes. */
jest.setTimeout(120_000);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let host: FakeHost;
let server: Server;
let handler: Handler;
let origin: string;
const session = new FakeSession('client');
const scope: Partial<BuildScope> = { sessionIds: ['client'] };

beforeEach(async () => {
  host = new FakeHost();
  host.addImage('base', { etc: null });
  server = createServer((request, response) => handler(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  expect(host.held).toEqual([]);
  // what a build had is removed behind it
  const until = Date.now() + 60_000;
  while (readdirSync(host.temporaryDir).length > 0) {
    if (Date.now() > until) throw new Error(`left: ${readdirSync(host.temporaryDir).join()}`);
    await setImmediate();
  }
  host.remove();
});

const daemonOf = (): FakeDaemon => new FakeDaemon(host, sessionsOf(session));
const source = (identifier: string, attrs: Record<string, string> = {}): Graph =>
  op({ kind: 'source', value: { identifier, attrs: Object.entries(attrs) } });
const sha256 = (content: string | Buffer): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

describe('http', () => {
  const requests: IncomingMessage[] = [];
  beforeEach(() => {
    requests.length = 0;
    handler = (request, response) => {
      requests.push(request);
      response.setHeader('last-modified', 'Wed, 15 Nov 2023 06:25:24 GMT');
      response.end('content');
    };
  });

  test('a file named by the URL, the answer or the graph', async () => {
    const daemon = daemonOf();
    expect(await daemon.filesOf(source(`${origin}/a/b%20c?x=y`), scope)).toEqual({ 'b c': 'content' });
    expect(await daemon.filesOf(source(`${origin}/a/b/`), scope)).toEqual({ b: 'content' });
    expect(await daemon.filesOf(source(`${origin}/`), scope)).toEqual({ download: 'content' });
    const named = source(`${origin}/a`, { 'http.filename': 'other' });
    expect(await daemon.filesOf(named, scope)).toEqual({ other: 'content' });
    handler = (_request, response) =>
      response.setHeader('content-disposition', 'attachment; filename="x/n.txt"').end('content');
    expect(await daemon.filesOf(source(`${origin}/a`), scope)).toEqual({ 'n.txt': 'content' });
  });

  test('mode, owner and time', async () => {
    const { build, abort } = daemonOf().open(scope);
    const attrs = { 'http.perm': '0644', 'http.uid': '5', 'http.gid': '6' };
    const tree = await (await refOf(build, source(`${origin}/a`, attrs))).tree(never);
    expect(tree.lookup('a')?.attributes).toMatchObject({ mode: 0o644, uid: 5, gid: 6, mtime: 1_700_029_524 });
    const plain = await (await refOf(build, source(`${origin}/a`))).tree(never);
    expect(plain.lookup('a')?.attributes).toMatchObject({ mode: 0o600, uid: 0, gid: 0 });
    await build.close();
    abort.abort();
  });

  test('with a checksum nothing is asked for before it is wanted, and another content is refused', async () => {
    const daemon = daemonOf();
    const good = source(`${origin}/a`, { 'http.checksum': sha256('content') });
    const { build, abort } = daemon.open(scope);
    await refOf(build, good);
    const metadata = await build.resolveSource(
      { identifier: `${origin}/a`, attrs: new Map([['http.checksum', sha256('content')]]) },
      { mode: 'default', logName: '' },
      never,
    );
    expect(metadata.http).toMatchObject({ checksum: sha256('content'), filename: 'a' });
    expect(requests).toEqual([]);
    await build.close();
    abort.abort();
    expect(await daemon.filesOf(good, scope)).toEqual({ a: 'content' });
    const bad = source(`${origin}/a`, { 'http.checksum': sha256('other') });
    await expect(daemon.filesOf(bad, scope)).rejects.toThrow(
      `digest mismatch ${sha256('content')}: ${sha256('other')}`,
    );
    await expect(daemon.filesOf(source(`${origin}/a`, { 'http.checksum': 'sha1:x' }), scope)).rejects.toThrow(
      'invalid checksum',
    );
  });

  test('the mark of the last time saves the download, in the next daemon too', async () => {
    let downloads = 0;
    handler = (request, response) => {
      requests.push(request);
      response.setHeader('etag', '"one"');
      if (request.headers['if-none-match'] === '"one"') {
        response.statusCode = 304;
        response.end();
        return;
      }
      downloads += 1;
      response.end('content');
    };
    const graph = run(source(`${origin}/a`), 'step');
    const first = await daemonOf().layersOf(graph, scope);
    expect(await daemonOf().layersOf(graph, scope)).toEqual(first);
    expect(downloads).toBe(1);
    expect(host.steps).toHaveLength(1);
    // what is read again is downloaded again
    expect(await daemonOf().filesOf(source(`${origin}/a`), scope)).toEqual({ a: 'content' });
  });

  test('credentials by a secret, not for where it redirects', async () => {
    session.secrets.set('HEADER', 'Bearer hush\n');
    const other = createServer((request, response) => {
      requests.push(request);
      response.end('elsewhere');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    handler = (request, response) => {
      requests.push(request);
      response.writeHead(302, { location: `http://127.0.0.1:${(other.address() as AddressInfo).port}/x` });
      response.end();
    };
    const graph = source(`${origin}/a`, {
      'http.authheadersecret': 'HEADER',
      'http.header.accept': 'text/x',
    });
    expect(await daemonOf().filesOf(graph, scope)).toEqual({ a: 'elsewhere' });
    expect(requests.map(({ headers }) => [headers.authorization, headers.accept])).toEqual([
      ['Bearer hush', 'text/x'],
      [undefined, 'text/x'],
    ]);
    other.closeAllConnections();
    other.close();
    const missing = source(`${origin}/a`, { 'http.authheadersecret': 'NONE' });
    await expect(daemonOf().filesOf(missing, scope)).rejects.toThrow('secret NONE: not found');
    expect(JSON.stringify([...host.collections])).not.toContain('hush');
  });

  test('what is no file is refused, and nothing of it is left', async () => {
    const refused = (attrs: Record<string, string>): Promise<unknown> =>
      daemonOf()
        .filesOf(source(`${origin}/a`, attrs), scope)
        .catch((error: unknown) => (error as Error).message);
    handler = (_request, response) => {
      response.statusCode = 404;
      response.end('x'.repeat(1000));
    };
    expect(await refused({})).toBe('failed to load cache key: invalid response status 404');
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('some');
      void setImmediate().then(() => response.destroy());
    };
    expect(await refused({})).toMatch(/aborted|ECONNRESET|EOF/);
    handler = (_request, response) => response.end('content');
    expect(await refused({ 'http.filename': '../x' })).toMatch('invalid filename');
    expect(await refused({ 'http.header.host': 'x' })).toMatch("can't be set");
    expect(await refused({ 'http.perm': '-1' })).toMatch('invalid http.perm');
  });

  test('an upload of the client is taken once in a build', async () => {
    session.uploads.set('abc', Buffer.from('tar'));
    const daemon = daemonOf();
    const { build, abort } = daemon.open(scope);
    const graph = source('http://buildkit-session/abc', { 'http.filename': 'context' });
    await (await refOf(build, graph)).evaluate(never);
    session.uploads.clear();
    const again = await (await refOf(build, graph)).tree(never);
    expect([...again.root.children.keys()]).toEqual(['context']);
    await build.close();
    abort.abort();
  });
});

describe('git', () => {
  let root: string;
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', join(root, 'work'), ...args], {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: root,
        GIT_CONFIG_COUNT: '3',
        GIT_CONFIG_KEY_0: 'user.name',
        GIT_CONFIG_VALUE_0: 'a',
        GIT_CONFIG_KEY_1: 'user.email',
        GIT_CONFIG_VALUE_1: 'a@b',
        GIT_CONFIG_KEY_2: 'init.defaultBranch',
        GIT_CONFIG_VALUE_2: 'main',
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  let authorizations: (string | undefined)[];

  /** As git-http-backend(1) is meant to be run. */
  const backend: Handler = (request, response) => {
    authorizations.push(request.headers.authorization);
    const { pathname, search } = new URL(request.url ?? '', origin);
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? '',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      },
    });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('close', () => {
      const all = Buffer.concat(chunks);
      const end = all.indexOf('\r\n\r\n');
      for (const line of all.toString('latin1', 0, end).split('\r\n')) {
        const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
        if (name === 'Status') response.statusCode = Number(value.slice(0, 3));
        else response.setHeader(name, value);
      }
      response.end(all.subarray(end + 4));
    });
  };

  beforeEach(() => {
    authorizations = [];
    root = mkdtempSync(join(tmpdir(), 'caisson-git-'));
    const work = join(root, 'work');
    mkdirSync(join(work, 'sub'), { recursive: true });
    git('init', '--quiet');
    writeFileSync(join(work, 'f'), 'one');
    writeFileSync(join(work, 'sub', 'g'), 'below');
    symlinkSync('sub', join(work, 'link'));
    git('add', '.');
    git('commit', '--quiet', '-m', 'one');
    git('tag', '-a', 'v1', '-m', 'tag');
    writeFileSync(join(work, 'f'), 'two');
    git('commit', '--quiet', '-am', 'two');
    handler = backend;
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const repository = (fragment = '', attrs: Record<string, string> = {}): Graph =>
    source(`git://${origin.replace('http://', '')}/work/.git${fragment}`, {
      'git.fullurl': `${origin}/work/.git`,
      ...attrs,
    });

  test('a branch, a tag, a commit, a folder', async () => {
    const daemon = daemonOf();
    const first = git('rev-parse', 'v1^{commit}');
    const all = { link: '-> sub', 'sub/': '', 'sub/g': 'below' };
    expect(await daemon.filesOf(repository(), scope)).toEqual({ ...all, f: 'two' });
    expect(await daemon.filesOf(repository('#main'), scope)).toEqual({ ...all, f: 'two' });
    expect(await daemon.filesOf(repository('#v1'), scope)).toEqual({ ...all, f: 'one' });
    expect(await daemon.filesOf(repository(`#${first}`), scope)).toEqual({ ...all, f: 'one' });
    expect(await daemon.filesOf(repository('#main:sub'), scope)).toEqual({ g: 'below' });
    expect(await daemon.filesOf(repository('#:link/'), scope)).toEqual({ g: 'below' });
  });

  test('what it is pinned to, and a checksum', async () => {
    const daemon = daemonOf();
    const { build, abort } = daemon.open(scope);
    const attrs = new Map([['git.fullurl', `${origin}/work/.git`]]);
    const metadata = await build.resolveSource(
      { identifier: 'git://x/work#v1', attrs },
      { mode: 'default', logName: '' },
      never,
    );
    const [object, commit] = [git('rev-parse', 'v1'), git('rev-parse', 'v1^{commit}')];
    expect(metadata.git).toEqual({ ref: 'refs/tags/v1', checksum: object, commitChecksum: commit });
    await build.close();
    abort.abort();
    await daemon.layersOf(repository('#v1', { 'git.checksum': commit }), scope);
    await expect(
      daemon.layersOf(repository('#v1', { 'git.checksum': 'f'.repeat(40) }), scope),
    ).rejects.toThrow(`expected checksum to match ${'f'.repeat(40)}, got ${commit}`);
  });

  test('with .git, which git takes for a clean checkout', async () => {
    const { build, abort } = daemonOf().open(scope);
    const ref = await refOf(build, repository('#main', { 'git.keepgitdir': 'true' }));
    const [diffId = ''] = await ref.layers(never);
    const out = join(root, 'out');
    mkdirSync(out);
    execFileSync('tar', ['-x', '-C', out], { input: host.tars.get(diffId) });
    const status = execFileSync('git', ['-c', 'safe.directory=*', '-C', out, 'status', '--porcelain', '-b'], {
      encoding: 'utf8',
    });
    expect(status.trim()).toBe('## HEAD (no branch)');
    await build.close();
    abort.abort();
  });

  test('submodules, of addresses beside it', async () => {
    const module = join(root, 'module');
    execFileSync('git', ['clone', '--quiet', '--bare', join(root, 'work', '.git'), module]);
    const commit = git('rev-parse', 'HEAD');
    writeFileSync(join(root, 'work', '.gitmodules'), '[submodule "m"]\n\tpath = m\n\turl = ../../module\n');
    git('update-index', '--add', '--cacheinfo', `160000,${commit},m`);
    git('add', '.gitmodules');
    git('commit', '--quiet', '-m', 'with a module');
    const daemon = daemonOf();
    expect(await daemon.filesOf(repository(), scope)).toMatchObject({ 'm/f': 'two', 'm/sub/g': 'below' });
    const without = await daemon.filesOf(repository('', { 'git.skipsubmodules': 'true' }), scope);
    expect(Object.keys(without)).not.toContain('m/f');
  });

  test('a token goes as a header and is kept nowhere', async () => {
    session.secrets.set('GIT_AUTH_TOKEN', 'hush');
    const graph = repository('#main', { 'git.authtokensecret': 'GIT_AUTH_TOKEN', 'git.keepgitdir': 'true' });
    await daemonOf().layersOf(run(graph, 'step'), scope);
    const expected = `basic ${Buffer.from('x-access-token:hush').toString('base64')}`;
    expect(new Set(authorizations)).toEqual(new Set([expected]));
    const kept = [...host.tars.values()].map((tar) => tar.toString('latin1')).join();
    expect(kept).not.toContain('hush');
    expect(kept).not.toContain(expected);
  });

  test('refs that are none, files that are too many, protocols that run commands', async () => {
    const refused = (graph: Graph): Promise<unknown> =>
      daemonOf()
        .layersOf(graph, scope)
        .catch((error: unknown) => (error as Error).message);
    expect(await refused(repository('#none'))).toMatch('repository does not contain ref none, output: ""');
    expect(await refused(repository('#--upload-pack=x'))).toMatch('invalid ref');
    expect(await refused(repository('#ma*'))).toMatch('invalid ref');
    expect(await refused(repository('#:none'))).toMatch('invalid subdir /none: failed to lstat');
    expect(await refused(repository('#:f'))).toMatch('not a directory');
    for (const url of [
      'ext::sh -c "touch x"',
      join(root, 'work'),
      `file://${root}/work`,
      '--upload-pack=x',
    ]) {
      expect(await refused(source('git://x', { 'git.fullurl': url }))).toMatch(
        /not allowed|invalid|failed to fetch/,
      );
    }
    // each tree names the one below ten times: a hundred objects, 10^10 files
    let tree = git('rev-parse', 'HEAD:sub');
    for (let depth = 0; depth < 10; depth += 1) {
      const lines = Array.from({ length: 10 }, (_, i) => `040000 tree ${tree}\td${i}`).join('\n');
      tree = execFileSync('git', ['-C', join(root, 'work'), 'mktree'], {
        input: lines,
        encoding: 'utf8',
      }).trim();
    }
    git('update-ref', 'refs/heads/bomb', git('commit-tree', tree, '-m', 'bomb'));
    expect(await refused(repository('#bomb'))).toMatch('the commit has more than 1000000 files');
  });

  test('a server that knows nothing but files', async () => {
    git('update-server-info');
    execFileSync('git', ['clone', '--quiet', '--bare', join(root, 'work', '.git'), join(root, 'dumb')]);
    execFileSync('git', ['-C', join(root, 'dumb'), 'update-server-info']);
    handler = (request, response) => {
      try {
        const path = new URL(request.url ?? '', origin).pathname;
        response.end(execFileSync('cat', [join(root, path)], { stdio: ['ignore', 'pipe', 'ignore'] }));
      } catch {
        response.statusCode = 404;
        response.end();
      }
    };
    const graph = source('git://x/dumb#main', { 'git.fullurl': `${origin}/dumb` });
    expect(await daemonOf().filesOf(graph, scope)).toMatchObject({ f: 'two' });
  });
});

describe('OCI layouts', () => {
  const blob = (content: Buffer | object): { digest: string; size: number } => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    session.blobs.set(`oci:store ${sha256(bytes)}`, bytes);
    return { digest: sha256(bytes), size: bytes.length };
  };
  const attrs = { 'oci.session': 'client', 'oci.store': 'store' };
  const layerTar = tarOf({ f: 'content' });
  // the fake layer store takes layers as they come
  const layer = (bytes: Buffer): { digest: string; size: number } => blob(bytes);
  const image = (layers: object[], diffIds: string[]): { digest: string; size: number } =>
    blob({ config: blob({ rootfs: { diff_ids: diffIds } }), layers });

  beforeEach(() => session.blobs.clear());

  test('the image of the platform, its layers brought in when they are read', async () => {
    const amd64 = image([layer(layerTar)], [sha256(layerTar)]);
    const index = blob({
      manifests: [
        { ...image([], []), platform: { os: 'linux', architecture: 'arm64' } },
        { ...amd64, platform: { os: 'linux', architecture: 'amd64' } },
      ],
    });
    const graph = source(`oci-layout://name@${index.digest}`, attrs);
    expect(await daemonOf().filesOf(graph, scope)).toEqual({ f: 'content' });
    session.blobs.delete(`oci:store ${sha256(layerTar)}`);
    expect(await daemonOf().filesOf(graph, scope)).toEqual({ f: 'content' });
    const { build, abort } = daemonOf().open(scope);
    const { image: found } = await build.resolveSource(
      { identifier: `oci-layout://name@${index.digest}`, attrs: new Map(Object.entries(attrs)) },
      { mode: 'default', logName: '' },
      never,
    );
    expect(found?.digest).toBe(index.digest);
    expect(JSON.parse(found?.config.toString() ?? '')).toMatchObject({
      rootfs: { diff_ids: [sha256(layerTar)] },
    });
    await build.close();
    abort.abort();
  });

  test('what is not what it is called is refused', async () => {
    const refused = (digest: string): Promise<unknown> =>
      daemonOf()
        .layersOf(source(`oci-layout://name@${digest}`, attrs), scope)
        .catch((error: unknown) => (error as Error).message);
    const good = image([layer(layerTar)], [sha256(layerTar)]);
    session.blobs.set(`oci:store ${good.digest}`, Buffer.from('{}'));
    expect(await refused(good.digest)).toMatch('another content');
    expect(await refused('latest')).toMatch('named by its digest');
    const other = image([layer(layerTar)], [sha256('another')]);
    expect(await refused(other.digest)).toMatch('is not sha256:');
    const none = image([], [sha256(layerTar)]);
    expect(await refused(none.digest)).toMatch("don't match image configuration");
    let nested = good;
    for (let depth = 0; depth < 5; depth += 1) nested = blob({ manifests: [nested] });
    expect(await refused(nested.digest)).toMatch('indexes too deep');
    const foreign = blob({ manifests: [{ ...good, platform: { os: 'linux', architecture: 'arm64' } }] });
    expect(await refused(foreign.digest)).toMatch('no match for platform in manifest');
  });
});
