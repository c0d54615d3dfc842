// Images mounted in containers (API 1.48), of which dockerd 20.10 knows nothing: no comparison, but the same rules as newer ones have.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { sendHttp } from '../../support/wire/http-client';

jest.setTimeout(180_000);

const engine = useBusyboxDaemon('image-mounts');
const { docker, refusal } = engine;

interface MountWish {
  Source: string;
  Target: string;
  ImageOptions?: { Subpath: string };
}

/** Creates a container; no docker command of this machine knows subpaths of images. */
async function create(name: string, mounts: MountWish[], command: string): Promise<[number, string]> {
  const { status, body } = await sendHttp(engine.daemon.host, {
    method: 'POST',
    path: `/v1.48/containers/create?name=${name}`,
    body: {
      Image: 'busybox',
      Cmd: ['sh', '-c', command],
      HostConfig: { Mounts: mounts.map((mount) => ({ Type: 'image', ...mount })) },
    },
  });
  return [status, body];
}

const layers = (): string[] => readdirSync(join(engine.dir, 'data', 'layers'));

let before: string[] = [];

beforeAll(() => {
  before = layers();
  const script =
    'mkdir -p /data/sub && echo one > /data/sub/file && ln -s sub/file /data/link && ln -s / /data/root';
  docker('run', '--name', 'maker', 'busybox', 'sh', '-c', script);
  docker('commit', 'maker', 'data');
  docker('rm', 'maker');
});

test('all of an image, read-only, as often as wanted', () => {
  const mount = (target: string): string[] => ['--mount', `type=image,source=data,target=${target}`];
  const script = 'cat /a/data/sub/file /b/data/link; touch /a/x 2>&1; mount | grep -c " /a .*ro"; ls /b';
  const told = docker('run', '--name', 'all', ...mount('/a'), ...mount('/b'), 'busybox', 'sh', '-c', script);
  expect(told.split('\n').slice(0, 4)).toEqual(['one', 'one', 'touch: /a/x: Read-only file system', '1']);
  const points = JSON.parse(docker('inspect', '-f', '{{json .Mounts}}', 'all')) as Record<string, unknown>[];
  const id = docker('inspect', '-f', '{{.Id}}', 'data');
  expect(points[0]).toEqual({
    Type: 'image',
    Name: 'data',
    Source: id,
    Destination: '/a',
    Mode: '',
    RW: false,
    Propagation: '',
  });
  // of a container that does not run, too
  expect(docker('cp', 'all:/b/data/sub/file', '-')).toContain('one');
  expect(docker('diff', 'all')).toBe('A /a\nA /b');
  docker('rm', 'all');
});

test('a part of it, which may be a file, and never what is outside', async () => {
  const command = 'cat /dir/file /file; ls /root-of-it';
  const mounts = [
    { Source: 'data', Target: '/dir', ImageOptions: { Subpath: 'data/sub' } },
    { Source: 'data', Target: '/file', ImageOptions: { Subpath: 'data/link' } },
    { Source: 'data', Target: '/root-of-it', ImageOptions: { Subpath: 'data/root/data' } },
  ];
  expect((await create('parts', mounts, command))[0]).toBe(201);
  expect(docker('start', '-a', 'parts').split('\n')).toEqual(['one', 'one', 'link', 'root', 'sub']);
  docker('rm', 'parts');
});

test('what is not there is refused, by name', async () => {
  const missing = [{ Source: 'nothing', Target: '/a' }];
  expect(await create('none', missing, 'true')).toEqual([
    404,
    '{"message":"No such image: nothing:latest"}\n',
  ]);
  const absent = [{ Source: 'data', Target: '/a', ImageOptions: { Subpath: 'no/such' } }];
  expect((await create('absent', absent, 'true'))[0]).toBe(201);
  expect(refusal('start', 'absent')).toContain(
    'cannot access path /no/such of image data: no such file or directory',
  );
  docker('rm', 'absent');
});

test('it is in use, and stays for its container when its name is taken away', async () => {
  docker(
    'run',
    '-d',
    '--name',
    'user',
    '--mount',
    'type=image,source=data,target=/a',
    'busybox',
    'sleep',
    '1d',
  );
  expect(refusal('rmi', 'data')).toMatch(/\(must force\) - container \w+ is using its referenced image/);
  docker('stop', '-t', '0', 'user');
  docker('rmi', '-f', 'data');
  await engine.daemon.kill9();
  await engine.daemon.start();
  docker('start', 'user');
  expect(docker('exec', 'user', 'cat', '/a/data/link')).toBe('one');
  expect(docker('run', '--rm', '--volumes-from', 'user', 'busybox', 'cat', '/a/data/link')).toBe('one');
  docker('rm', '-f', 'user');
  expect(layers()).toEqual(before);
});
