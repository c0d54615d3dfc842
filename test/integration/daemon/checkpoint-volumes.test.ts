// Checkpoints of a container that has files of the host open: it goes on with the same ones, after a crash of the daemon
// too, and as another container with a copy of its volume.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

/** Opens each file once: what it writes later goes to what it has open, at the place where it was. */
const counter = [
  'exec 3>/data/log 4>>/bind/log 5</etc/single; cd /data/inner; i=0',
  // `here` is never empty for who reads it
  'while :; do i=$((i+1)); echo $i >&3; echo $i >&4; echo $i 1<>here; echo $i >/scratch/n; usleep 100000; done',
].join('\n');
/** Connects to a unix socket, and prints what comes. */
const client = `
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[64];
    ssize_t got;
    strncpy(address.sun_path, argv[argc - 1], sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 1;
    while ((got = read(fd, text, sizeof text)) > 0)
        fwrite(text, (size_t)got, 1, stdout);
    return 0;
}`;

const engine = useBusyboxDaemon('checkpoint-files', ['--experimental']);
const { docker, refusal } = engine;
let server: Server;

beforeAll(async () => {
  mkdirSync(atHost('bind'));
  writeFileSync(atHost('single'), 'single');
  execFileSync('gcc', ['-static', '-x', 'c', '-', '-o', atHost('bind/client')], { input: client });
  server = createServer((socket) => socket.end('from the host'));
  await new Promise<void>((resolve) => server.listen(atHost('host.sock'), resolve));
}, 120_000);

afterAll(() => server.close());

/** Where the binds' own files are. */
function atHost(path: string): string {
  return join(engine.dir, path);
}

/** Of a container with this volume at /data. */
function options(volume: string): string[] {
  return [
    ['--volume', `${volume}:/data`],
    ['--volume', `${atHost('bind')}:/bind`],
    ['--volume', `${atHost('single')}:/etc/single:ro`],
    ['--volume', `${atHost('host.sock')}:/run/host.sock`],
    ['--tmpfs', '/scratch'],
    ['busybox', 'sh', '-c', counter],
  ].flat();
}

function makeVolume(name: string): string {
  docker('volume', 'create', name);
  return join(engine.dir, 'data', 'volumes', name, '_data');
}

const numbersOf = (path: string): number[] =>
  readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number);

/** Resolves when there are more than `count`. */
async function growsBeyond(path: string, count: number): Promise<void> {
  while (numbersOf(path).length <= count) await new Promise((resolve) => setTimeout(resolve, 100));
}

const counted = (numbers: readonly number[]): number[] => numbers.map((_, index) => index + 1);

/** What a bind, a socket and the directory that the process is in say. Not in step: the socket is served from here. */
async function sayingsOf(container: string): Promise<string> {
  const commands = 'cat /etc/single; /bind/client /run/host.sock; cat /data/inner/here';
  const args = ['--host', engine.daemon.host, 'exec', container, 'sh', '-c', commands];
  return (await promisify(execFile)('docker', args)).stdout.trim();
}

test('files that were open are written on, and those of a copy in another container', async () => {
  const data = makeVolume('first');
  mkdirSync(join(data, 'inner'));
  const log = join(data, 'log');
  docker('run', '--detach', '--name', 'one', ...options('first'));
  while (spawnSync('test', ['-s', log]).status !== 0)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const { ino } = statSync(log);

  docker('checkpoint', 'create', '--leave-running', 'one', 'early');
  await growsBeyond(log, numbersOf(log).length + 2);

  docker(
    'exec',
    '--detach',
    'one',
    'sh',
    '-c',
    'exec 6>/data/gone; rm /data/gone; touch /data/ready; sleep 1000',
  );
  while (spawnSync('test', ['-e', join(data, 'ready')]).status !== 0)
    await new Promise((resolve) => setTimeout(resolve, 100));
  expect(refusal('checkpoint', 'create', 'one', 'never')).toMatch(
    /Cannot checkpoint container one: it has .*\/first\/_data\/gone \(deleted\) open/,
  );
  await growsBeyond(log, numbersOf(log).length);
  docker('exec', 'one', 'sh', '-c', "kill $(ps -o pid,args | awk '/sleep 100[0]/ {print $1}'); :"); // one may end with the other

  docker('checkpoint', 'create', 'one', 'late');
  const before = numbersOf(log);
  expect(before).toEqual(counted(before));
  cpSync(data, makeVolume('second'), { recursive: true });

  await engine.daemon.kill9();
  await engine.daemon.start();
  docker('start', '--checkpoint', 'late', 'one');
  await growsBeyond(log, before.length);
  expect(statSync(log).ino).toBe(ino);
  expect(numbersOf(log)).toEqual(counted(numbersOf(log)));
  // from where it was: what others have appended since stays
  const appended = numbersOf(atHost('bind/log'));
  expect(appended.slice(0, before.length)).toEqual(counted(before));
  expect(await sayingsOf('one')).toMatch(/^singlefrom the host\d+$/);
  expect(Number(docker('exec', 'one', 'cat', '/scratch/n'))).toBeGreaterThanOrEqual(before.length);

  const id = docker('inspect', '-f', '{{.Id}}', 'one');
  const checkpoints = join(engine.dir, 'data', 'containers', id, 'checkpoints');
  docker(
    'create',
    '--name',
    'other',
    '--volume',
    'second:/elsewhere',
    '--tmpfs',
    '/scratch',
    'busybox',
    'sh',
    '-c',
    counter,
  );
  expect(refusal('start', '--checkpoint', 'late', '--checkpoint-dir', checkpoints, 'other')).toContain(
    'the checkpoint is of a container with other volumes or binds (/elsewhere, ',
  );
  const copy = join(engine.dir, 'data', 'volumes', 'second', '_data', 'log');
  docker('create', '--name', 'two', ...options('second'));
  docker('start', '--checkpoint', 'late', '--checkpoint-dir', checkpoints, 'two');
  await growsBeyond(copy, before.length);
  expect(numbersOf(copy)).toEqual(counted(numbersOf(copy)));
  expect(numbersOf(log)).toEqual(counted(numbersOf(log)));
  expect(await sayingsOf('two')).toMatch(/^singlefrom the host\d+$/);
  docker('rm', '--force', 'one', 'two', 'other');
}, 400_000);
