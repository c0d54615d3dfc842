// Datagrams to a unix socket of the host, by native/datagram-send: Node has none.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Writable } from 'node:stream';

/**
 * Each write is a datagram; it ends when all have been sent, and closes when nobody takes them any more. Rejects with the
 * system's error as `code`.
 */
export async function openDatagrams(nativeDir: string, path: string): Promise<Writable> {
  const helper = spawn(join(nativeDir, 'datagram-send'), [path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
  });
  const ended = new Promise<void>((resolve) => {
    helper.once('error', () => resolve());
    helper.once('exit', () => resolve());
  });
  helper.stdin.on('error', () => undefined); // its end follows
  const answer: unknown = await Promise.race([
    once(helper.stdout, 'data').then(([data]) => String(data).trim()),
    ended.then(() => 'ENOENT'),
  ]);
  if (answer !== 'ok') {
    helper.kill();
    throw Object.assign(new Error(String(answer)), { code: String(answer) });
  }
  helper.unref();
  const stream = new Writable({
    write(data: Buffer, _encoding, done) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(data.length);
      helper.stdin.write(Buffer.concat([length, data]), done);
    },
    final(done) {
      void ended.then(() => done());
      helper.stdin.end();
    },
    destroy(error, done) {
      helper.kill();
      done(error);
    },
  });
  void ended.then(() => stream.destroy());
  return stream;
}
