import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import split2 from 'split2';
import { log } from '../../../../src/log';
import { FileServer } from '../../../../src/vm/file-server/file-server';
import { SharedPaths } from '../../../../src/vm/file-server/shared-paths';
import { makeScratchDir } from '../../../support/process/scratch-dir';

let directory: string;
let control: Server;
let lines: string[];

/** The control socket of a file server that obeys. */
beforeEach(async () => {
  directory = makeScratchDir('file-server');
  lines = [];
  control = createServer((socket) => {
    socket.pipe(split2()).on('data', (line: string) => {
      lines.push(line);
      socket.write('ok\n');
      control.emit('line');
    });
  }).listen(join(directory, 'fs-control.sock'));
  await once(control, 'listening');
});

afterEach(() => {
  control.close();
  rmSync(directory, { recursive: true });
});

test('a server that an earlier daemon has started remembers nothing of what another VM has, too', async () => {
  const paths = new SharedPaths();
  const told: string[] = [];
  const say = (word: string) => (): Promise<void> => {
    told.push(word);
    return Promise.resolve();
  };
  paths.claim([{ path: '/shared', forgetsAtOnce: say('forget'), mayRemember: say('remember') }]);
  const heard = once(control, 'line');
  const shares = { common: '/shared/inner', own: '/own' };
  new FileServer({ nativeDir: 'none', vmRunDir: directory }, paths, shares);
  await heard;
  expect(lines).toEqual(['cache common 0']);
  expect(told).toEqual(['forget']);
});

test('who is left may remember what was shared when a share is taken away', async () => {
  const paths = new SharedPaths();
  const server = new FileServer({ nativeDir: 'none', vmRunDir: directory }, paths, {
    one: '/one',
    two: '/two',
  });
  const remembered = jest.fn(() => Promise.resolve());
  paths.claim(
    ['/one', '/two'].map((path) => ({
      path,
      forgetsAtOnce: () => Promise.resolve(),
      mayRemember: () => remembered(),
    })),
  );
  await server.remove(['one']);
  expect(lines).toEqual(['remove one']);
  expect(remembered).toHaveBeenCalledTimes(1);
  await server.removeAll();
  expect(lines).toEqual(['remove one', 'remove two']);
  expect(remembered).toHaveBeenCalledTimes(2);
});

test('one that has ended while its VM runs is told of, once', async () => {
  const told = jest.spyOn(log, 'error').mockReturnValue(undefined);
  const paths = new SharedPaths();
  const server = new FileServer(
    { nativeDir: 'none', vmRunDir: directory },
    paths,
    { one: '/one' },
    { lookMs: 1 },
  );
  const ended = (): unknown[] =>
    told.mock.calls.filter(([message]) => message.includes('the file server of a VM has ended'));
  while (ended().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(ended()).toEqual([[expect.anything(), { vmRunDir: directory, shares: ['/one'] }]]);
  server.forgetAll();
  told.mockRestore();
});
