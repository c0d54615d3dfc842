// A line that was half written when the daemon was killed is whole in the log of the next one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';

jest.setTimeout(120_000);

const engine = useBusyboxDaemon('output');
const { docker } = engine;

const writer = `
  printf abc; printf ABC >&2
  until [ -e /go ]; do sleep 0.1; done
  printf 'def\\n'; printf DEF >&2`;

/** Starts it. Resolves when a client that is attached has seen these. */
async function startAndSee(name: string, ...wanted: string[]): Promise<void> {
  const client = spawn('docker', ['--host', engine.daemon.host, 'start', '--attach', name]);
  let seen = '';
  const left = once(client, 'exit');
  for (const stream of [client.stdout, client.stderr])
    stream.on('data', (text: Buffer) => (seen += text.toString()));
  while (!wanted.every((text) => seen.includes(text))) {
    expect(client.exitCode).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  client.kill();
  await left;
}

it('keeps the begin of a line over the death of the daemon', async () => {
  docker('create', '--name', 'writer', 'busybox', 'sh', '-c', writer);
  await startAndSee('writer', 'abc', 'ABC');
  docker('exec', 'writer', 'true'); // what the daemon has to say of it to the guest is said by then
  await engine.daemon.kill9();
  await engine.daemon.start();
  docker('exec', 'writer', 'touch', '/go');
  expect(docker('wait', 'writer')).toBe('0');
  expect(docker('logs', 'writer')).toBe('abcdef');
  expect(docker('logs', 'writer', '--tail', '5')).toBe('abcdef');
});
