import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { IpBatch } from '../../../src/network/ip-batch';
import { PrivateNamespace } from '../../../src/network/namespace';

let directory: string;
let namespace: PrivateNamespace;
let ip: IpBatch;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ip-batch-test-'));
  namespace = await PrivateNamespace.open(join(directory, 'netns'));
  ip = new IpBatch(namespace);
});

afterAll(async () => {
  ip.close();
  await namespace.remove();
  rmSync(directory, { recursive: true });
});

it('does what it is told', async () => {
  await ip.run('link add name one type bridge', 'link set dev one up');
  expect(await namespace.run('ip', ['-br', 'link', 'show', 'one'])).toContain('one');
});

it('tells which command failed, and why', async () => {
  const results = await Promise.allSettled([
    ip.run('link add name two type bridge'),
    ip.run('link set dev nowhere up'),
    ip.run('link add name two type bridge'),
    ip.run('link set dev two up'),
  ]);
  expect(results.map((result) => (result.status === 'rejected' ? String(result.reason) : 'done'))).toEqual([
    'done',
    expect.stringContaining('ip link set dev nowhere up: Cannot find device "nowhere"'),
    expect.stringContaining('RTNETLINK answers: File exists'),
    'done',
  ]);
});

it('goes on after a command that ends the program', async () => {
  await expect(ip.run('addr add 300.1.2.3/8 dev one')).rejects.toThrow('300.1.2.3');
  await ip.run('addr add 10.1.2.3/8 dev one');
  expect(await namespace.run('ip', ['-br', 'addr', 'show', 'one'])).toContain('10.1.2.3/8');
});

it.each(['link show\nlink del one', 'link del "one"', 'link # one'])('does not take %j', async (command) => {
  await expect(ip.run(command)).rejects.toThrow('not an ip command');
});
