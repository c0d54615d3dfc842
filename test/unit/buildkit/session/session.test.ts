import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type { FileStat, FilesReceiver, SentFile } from '../../../../src/buildkit/contract/session';
import { ClientSessions, sessionHeaders } from '../../../../src/buildkit/session/sessions';
import { FakeClient, fakeDirectory, fakeFile, fakeLink } from '../../../support/buildkit/fake-client';
import { SocketPairs } from '../../../support/buildkit/socket-pair';

const pairs = new SocketPairs();
const sessions = new ClientSessions();
const signal = new AbortController().signal;
afterAll(async () => {
  sessions.close();
  await pairs.close();
});

const headersOf = (id: string, methods: string[] = []): ReturnType<typeof sessionHeaders> =>
  sessionHeaders((name) => {
    const values: Record<string, string[]> = {
      'x-docker-expose-session-uuid': [id],
      'x-docker-expose-session-name': ['context'],
      'x-docker-expose-session-sharedkey': ['key'],
      'x-docker-expose-session-grpc-method': methods,
    };
    return values[name] ?? [];
  });

async function open(client: FakeClient, id: string, methods?: string[]): Promise<void> {
  const [ours, theirs] = await pairs.pair();
  client.serve(theirs);
  sessions.add(headersOf(id, methods), ours);
}

/** Takes everything, in memory. */
class Collected implements FilesReceiver {
  readonly stats: FileStat[] = [];
  readonly contents = new Map<string, Buffer>();
  readonly #wants: (stat: FileStat) => boolean;

  constructor(wants: (stat: FileStat) => boolean = () => true) {
    this.#wants = wants;
  }

  entry(stat: FileStat): boolean {
    this.stats.push(stat);
    return this.#wants(stat);
  }

  async data(index: number, chunk: Buffer): Promise<void> {
    await Promise.resolve();
    const path = this.#path(index);
    this.contents.set(path, Buffer.concat([this.contents.get(path) ?? Buffer.alloc(0), chunk]));
  }

  end(index: number): void {
    const path = this.#path(index);
    if (!this.contents.has(path)) this.contents.set(path, Buffer.alloc(0));
  }

  #path(index: number): string {
    return this.stats[index]?.path ?? '';
  }
}

describe('sessions', () => {
  test('one that is there, one that comes later, one that never comes', async () => {
    await open(new FakeClient(), 'there');
    expect(await sessions.get('there', signal)).toMatchObject({
      id: 'there',
      name: 'context',
      sharedKey: 'key',
    });
    expect(await sessions.get('context:there', signal)).toMatchObject({ id: 'there' });
    const later = sessions.get('later', signal);
    await open(new FakeClient(), 'later');
    expect((await later).id).toBe('later');
    const abort = new AbortController();
    const never = sessions.get('never', abort.signal);
    abort.abort(new Error('given up'));
    await expect(never).rejects.toThrow('given up');
  });

  test('a client that comes again takes its place; one that goes is gone', async () => {
    const [first, theirs] = await pairs.pair();
    new FakeClient().serve(theirs);
    sessions.add(headersOf('again'), first);
    const before = await sessions.get('again', signal);
    await open(new FakeClient(), 'again');
    const after = await sessions.get('again', signal);
    expect(after).not.toBe(before);
    const gone = new Promise((resolve) => before.closed.addEventListener('abort', resolve));
    theirs.destroy();
    await gone;
    expect(sessions.find('again')).toBe(after);
    await expect(before.secret('x', signal)).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('an id is asked for', () => {
    expect(() => sessions.add(headersOf(''), undefined as never)).toThrow('no session id');
    expect(() => sessions.add(headersOf('x'.repeat(300)), undefined as never)).toThrow('too long');
  });

  test('methods count whatever their case, one a header or joined', () => {
    const path = '/moby.filesync.v1.FileSync/DiffCopy';
    expect([...headersOf('x', [`${path}, /a.B/C`]).methods]).toEqual([path.toLowerCase(), '/a.b/c']);
  });

  test('a client that serves no files', async () => {
    await open(new FakeClient(), 'nothing', ['/grpc.health.v1.Health/Check']);
    const session = await sessions.get('nothing', signal);
    await expect(session.receiveFiles({ name: 'context' }, new Collected(), signal)).rejects.toThrow(
      'no local sources enabled',
    );
    expect(await session.secret('x', signal)).toBeUndefined();
    expect(await session.credentials('x', signal)).toEqual({ username: '', secret: '' });
    expect(() => session.pullUpload('x', signal)).toThrow('not supported by the client');
  });
});

describe('files from a client', () => {
  const big = Buffer.alloc(70_000, 'big ');
  const files = [
    fakeDirectory('dir'),
    fakeFile('dir/big', big),
    fakeFile('dir/empty', ''),
    fakeLink('dir/link', '../../etc/passwd'),
    fakeFile('dir/same', big, { linkName: 'dir/big' }),
    fakeFile('suid', 'x', { mode: 0o4755, xattrs: new Map([['user.a', Buffer.from([0, 255])]]) }),
    fakeFile('ünï', 'text'),
  ];

  test('all of a directory, with what is wanted', async () => {
    const client = new FakeClient();
    client.directories.set('context', files);
    await open(client, 'files');
    const session = await sessions.get('files', signal);
    const collected = new Collected((stat) => stat.path !== 'ünï');
    await session.receiveFiles(
      { name: 'context', include: ['a, b', 'c'], exclude: ['ünï x'], follow: [] },
      collected,
      signal,
    );
    expect(collected.stats).toEqual(files.map(({ stat }) => stat));
    expect(Object.fromEntries(collected.contents)).toEqual({
      'dir/big': big,
      'dir/empty': Buffer.alloc(0),
      suid: Buffer.from('x'),
    });
    const [metadata] = client.calls;
    expect(metadata?.get('include-patterns')).toEqual(['a, b', 'c']);
    expect(metadata?.get('exclude-patterns')).toEqual(['%C3%BCn%C3%AF+x']);
    expect(metadata?.get('exclude-patterns-encoded')).toEqual(['1']);
    expect(metadata?.has('followpaths')).toBe(false);
  });

  test('ten thousand files, all wanted, from a client that reads no requests while it has to send', async () => {
    const client = new FakeClient();
    const names = Array.from({ length: 10_000 }, (_, i) => String(i).padStart(5, '0'));
    client.directories.set(
      'many',
      names.map((name) => fakeFile(name, name.repeat(20))),
    );
    await open(client, 'many');
    const collected = new Collected();
    await (await sessions.get('many', signal)).receiveFiles({ name: 'many' }, collected, signal);
    expect(collected.contents.size).toBe(10_000);
  }, 60_000);

  test.each([
    ['names out of order', [fakeFile('b', ''), fakeFile('a', '')]],
    ['a name twice', [fakeFile('a', ''), fakeFile('a', '')]],
    ['a file before its directory', [fakeFile('dir/a', '')]],
    ['a directory left and entered again', [fakeDirectory('a'), fakeFile('b', ''), fakeFile('a/b', '')]],
    ['a file in a file', [fakeFile('a', ''), fakeFile('a/b', '')]],
    ['a file in a link', [fakeLink('a', '/'), fakeFile('a/b', '')]],
    ['a name above the directory', [fakeFile('../a', '')]],
    ['the directory above', [fakeDirectory('..')]],
    ['an absolute name', [fakeFile('/a', '')]],
    ['an unclean name', [fakeDirectory('a'), fakeFile('a/./b', '')]],
    ['a name that ends in a slash', [fakeDirectory('a/')]],
    ['no name', [fakeFile('', '')]],
    ['a zero byte', [fakeFile('a\0b', '')]],
    ['a name without end', [fakeFile('a'.repeat(5000), '')]],
    ['a link to a file that comes later', [fakeFile('a', '', { linkName: 'b' }), fakeFile('b', '')]],
    ['a link to a directory', [fakeDirectory('a'), fakeFile('b', '', { linkName: 'a' })]],
  ])('refuses %s', async (_what, hostile) => {
    const client = new FakeClient();
    client.directories.set('hostile', hostile);
    await open(client, 'hostile');
    const session = await sessions.get('hostile', signal);
    await expect(session.receiveFiles({ name: 'hostile' }, new Collected(), signal)).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
    expect(await session.secret('none', signal)).toBeUndefined();
  });

  test('what the receiver throws ends the transfer, as a signal does', async () => {
    const client = new FakeClient();
    client.directories.set('context', files);
    await open(client, 'ends');
    const session = await sessions.get('ends', signal);
    const full = new Collected();
    full.data = () => Promise.reject(new Error('disk full'));
    await expect(session.receiveFiles({ name: 'context' }, full, signal)).rejects.toThrow('disk full');
    const abort = new AbortController();
    const cut = new Collected();
    cut.data = () => {
      abort.abort(new Error('cancelled'));
      return Promise.resolve();
    };
    await expect(session.receiveFiles({ name: 'context' }, cut, abort.signal)).rejects.toThrow('cancelled');
    await expect(session.receiveFiles({ name: 'other' }, new Collected(), signal)).rejects.toMatchObject({
      code: 'NotFound',
      message: 'no access allowed to dir',
    });
  });
});

describe('files for a client', () => {
  test('a directory', async () => {
    const client = new FakeClient();
    client.outputIsDirectory = true;
    await open(client, 'local');
    const big = Buffer.alloc(70_000, 7);
    async function* sent(): AsyncGenerator<SentFile> {
      await Promise.resolve();
      for (const { stat, content } of [fakeDirectory('d'), fakeFile('d/big', big), fakeFile('e', '')]) {
        yield content === undefined ? { stat } : { stat, content: () => [content] as never };
      }
    }
    await (await sessions.get('local', signal)).sendFiles(0, sent(), signal);
    expect(Object.fromEntries(client.outputs)).toEqual({
      d: Buffer.alloc(0),
      'd/big': big,
      e: Buffer.alloc(0),
    });
  });

  test('what can not be read is told', async () => {
    const client = new FakeClient();
    client.outputIsDirectory = true;
    await open(client, 'broken');
    async function* sent(): AsyncGenerator<SentFile> {
      await Promise.resolve();
      yield {
        stat: fakeFile('a', 'abc').stat,
        content: async function* () {
          yield await Promise.reject<Buffer>(new Error('layer is gone'));
        },
      };
    }
    const session = await sessions.get('broken', signal);
    await expect(session.sendFiles(0, sent(), signal)).rejects.toThrow('layer is gone');
  });

  test('one file', async () => {
    const client = new FakeClient();
    await open(client, 'tar');
    const sink = (await sessions.get('tar', signal)).sendFile(2, new Map([['Name', 'x']]), signal);
    const bytes = Buffer.alloc(3_000_000, 'tar ');
    sink.write(bytes.subarray(0, 10));
    sink.end(bytes.subarray(10));
    await finished(sink);
    expect(client.outputs.get('2')?.equals(bytes)).toBe(true);
    expect(client.calls[0]?.get('exporter-md-name')).toEqual(['x']);
  });
});

describe('other services', () => {
  const client = new FakeClient();
  client.secrets.set('token', Buffer.from([1, 2, 3]));
  client.uploads.set('/abc', Buffer.alloc(5000, 'u'));
  beforeAll(() => open(client, 'services'));

  test('secrets', async () => {
    const session = await sessions.get('services', signal);
    expect(await session.secret('token', signal)).toEqual(Buffer.from([1, 2, 3]));
    expect(await session.secret('other', signal)).toBeUndefined();
  });

  test('credentials, and tokens that the client does not fetch', async () => {
    const session = await sessions.get('services', signal);
    expect(await session.credentials('docker.io', signal)).toEqual({
      username: 'user of docker.io',
      secret: 'hush',
    });
    const request = { clientId: 'c', host: 'h', realm: 'r', service: 's', scopes: [] };
    expect(await session.fetchToken(request, signal)).toBeUndefined();
  });

  test('an SSH agent', async () => {
    const session = await sessions.get('services', signal);
    await session.checkSshAgent('default', signal);
    await expect(session.checkSshAgent('other', signal)).rejects.toThrow('unset ssh forward key other');
    const agent = session.connectSshAgent('default');
    agent.write('list');
    expect(String((await once(agent, 'data'))[0])).toBe('agent: list');
    agent.end();
    await once(agent, 'end');
  });

  test('uploads', async () => {
    const session = await sessions.get('services', signal);
    const parts: Buffer[] = [];
    for await (const part of session.pullUpload('abc', signal)) parts.push(part as Buffer);
    expect(Buffer.concat(parts)).toEqual(client.uploads.get('/abc'));
    const missing = session.pullUpload('nope', signal);
    await expect(once(missing, 'data')).rejects.toMatchObject({ code: 'NotFound' });
  });
});
