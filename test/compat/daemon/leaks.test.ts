// Counts what exists before and after much use and misuse: VMs, descriptors, files, taps.

import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';

import { sendHttp, socketPathOf } from '../../support/wire/http-client';
import { describeWithOwnDaemon, eventually, type OwnDaemon } from '../harness/own-daemon';

interface Inventory {
  vms: number;
  descriptors: string[];
  files: string[];
  children: number;
}

function inventory(own: OwnDaemon): Inventory {
  const { pid } = own.daemon.process;
  const descriptors = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      // sockets and pipes differ by number only
      return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]/, '');
    } catch {
      return 'closed';
    }
  });
  const files = execFileSync('find', [own.daemon.dir, '-xdev', '-not', '-name', '*.log', '-printf', '%P\n'], {
    encoding: 'utf8',
  }).split('\n');
  const children = execFileSync('pgrep', ['-c', '-P', String(pid)], { encoding: 'utf8' });
  return { vms: own.daemon.qemuPids().length, descriptors, files, children: Number(children) };
}

/** Names in run directories are made up for each VM: their number counts. */
function summary({ vms, descriptors, files, children }: Inventory): Record<keyof Inventory, number> {
  return { vms, descriptors: descriptors.length, files: files.length, children };
}

describeWithOwnDaemon('leaks', { images: ['busybox'], args: ['--pool-size', '2'] }, (own) => {
  const host = (): string => own.daemon.host;

  async function settled(): Promise<Inventory> {
    let last = inventory(own);
    await eventually(
      () => `two idle VMs and nothing changing, but ${JSON.stringify(summary(last))}`,
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const now = inventory(own);
        const same = JSON.stringify(summary(now)) === JSON.stringify(summary(last));
        last = now;
        return same && now.vms === 2 ? true : undefined;
      },
    );
    return last;
  }

  test('none after use and misuse', async () => {
    own.docker('run', '--rm', 'busybox', 'true');
    const before = await settled();

    for (let round = 0; round < 4; round += 1) {
      own.docker('run', '--rm', 'busybox', 'true');
      own.tryDocker('run', '--rm', 'busybox', 'no-such-command');
      own.docker('create', '--name', 'made', 'busybox');
      own.docker('rm', 'made');
      own.docker('run', '-d', '--name', 'up', 'busybox', 'sh', '-c', 'while :; do echo x; sleep 0.05; done');
      own.docker('exec', 'up', 'true');
      own.docker('exec', '-d', 'up', 'sleep', '100');
      await vanishWhile('/v1.41/containers/up/attach?stream=1&stdout=1&stderr=1');
      await vanishWhile('/v1.41/containers/up/wait');
      await vanishWhile('/v1.41/containers/up/logs?follow=1&stdout=1', 'GET');
      await vanishWhile('/v1.41/events', 'GET');
      own.docker('rm', '-f', 'up');
    }
    await vanishWhile('/v1.41/images/create?fromImage=127.0.0.1:5000/debian&tag=12');
    await halfOpen();
    const malformed = { 'Content-Type': 'application/json' };
    expect((await post('/v1.41/containers/create', '{"Image"', malformed)).status).toBe(500); // as dockerd 20.10
    await oversize();

    const after = await settled();
    const grown = after.files.filter((file) => !before.files.includes(file) && !/(^|\/)run\//.test(file));
    const [{ descriptors, ...rest }, { descriptors: most, ...expected }] = [summary(after), summary(before)];
    expect(descriptors).toBeLessThanOrEqual(most);
    // the blobs of the pull that was cut off may stay, to go on from
    expect({ ...rest, files: 0 }).toEqual({ ...expected, files: 0 });
    expect(grown.filter((file) => !/blobs|ingest|download/.test(file))).toEqual([]);
  }, 600_000);

  /** Sends a request, waits until something of the answer (or a second) is there, and is gone. */
  function vanishWhile(path: string, method = 'POST'): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPathOf(host()), () => {
        socket.write(`${method} ${path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n`);
      });
      const leave = (): void => {
        socket.destroy();
        resolve();
      };
      socket.once('data', () => setTimeout(leave, 100));
      setTimeout(leave, 1000);
      socket.once('error', reject);
    });
  }

  /** Connections that send half a request and stop. */
  async function halfOpen(): Promise<void> {
    const sockets = Array.from({ length: 20 }, () => connect(socketPathOf(host())));
    for (const socket of sockets)
      socket.write('POST /v1.41/containers/create HTTP/1.1\r\nContent-Length: 1000\r\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await sendHttp(host(), { method: 'GET', path: '/_ping' })).status).toBe(200);
    for (const socket of sockets) socket.destroy();
  }

  function post(path: string, body: string, headers: Record<string, string>) {
    return sendHttp(host(), { method: 'POST', path, body, headers });
  }

  /** 64 MiB of JSON: refused, or the connection is cut; the daemon lives and has not kept it. */
  async function oversize(): Promise<void> {
    const body = JSON.stringify({ Image: 'busybox', Env: ['x'.repeat(64 * 1024 * 1024)] });
    try {
      const { status } = await post('/v1.41/containers/create', body, { 'Content-Type': 'application/json' });
      expect(status).toBeGreaterThanOrEqual(400);
    } catch (error) {
      expect(String(error)).toMatch(/EPIPE|ECONNRESET|socket hang up/);
    }
    expect((await sendHttp(host(), { method: 'GET', path: '/_ping' })).status).toBe(200);
  }
});
