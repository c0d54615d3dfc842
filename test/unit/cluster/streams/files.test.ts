import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';

import { extractArchive } from '../../../../src/cluster/streams/files';
import type { ContainerReach } from '../../../../src/cluster/streams/reach';
import type { SupervisorJob } from '../../../../src/cluster/supervisor/protocol';

jest.mock('@kubernetes/client-node', () => ({}));

/** A container whose job takes one write, and whose session ends with the job: the next write fails before the exit is read. */
function reachOf(code: number): ContainerReach {
  const directory = 0o040755;
  const answer = (output: string): object => ({
    output: Readable.from(output === '' ? [] : [{ data: Buffer.from(output) }]),
    exit: Promise.resolve({ code: 0, message: '' }),
    close: () => undefined,
  });
  const extract = (): object => {
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    let writes = 0;
    const write = (): Promise<void> => {
      writes += 1;
      if (writes === 1) return Promise.resolve();
      end();
      return Promise.reject(new Error('the session is over'));
    };
    async function* output(): AsyncGenerator<never> {
      await over;
      await new Promise((resolve) => setImmediate(resolve));
      yield* [];
    }
    return {
      output: output(),
      input: { write, end: () => Promise.resolve() },
      exit: over.then(() => ({ code, message: 'no space left on device' })),
      close: () => undefined,
    };
  };
  const job = ({ kind }: SupervisorJob): Promise<object> =>
    Promise.resolve(kind === 'stat' ? answer(`${directory} 0 0 0 ${directory}\0/\0\0/\0`) : extract());
  return {
    hold: () => Promise.resolve({ job }),
    publish: () => undefined,
  } as unknown as ContainerReach;
}

const named = {
  ref: 'c',
  container: { id: 'c', state: { kind: 'exited' }, record: { mounts: [], hostConfig: {}, config: {} } },
} as never;
const options = { noOverwriteDirNonDir: false, copyUidGid: false };

function extract(reach: ContainerReach, archive: NodeJS.ReadableStream): Promise<void> {
  return extractArchive(reach, named, '/', archive, options, new AbortController().signal);
}

const chunks = (): Readable =>
  Readable.from([Buffer.alloc(2 ** 20), Buffer.alloc(2 ** 20), Buffer.alloc(2 ** 20)]);

it('drops what follows an archive that is unpacked, also where its session is over before its exit is read', async () => {
  await expect(extract(reachOf(0), chunks())).resolves.toBeUndefined();
});

it('says why a job has ended, not that its session is over', async () => {
  await expect(extract(reachOf(28), chunks())).rejects.toThrow('no space left on device');
});

it('says what is wrong with the rest of a compressed archive', async () => {
  const whole = Readable.from(Buffer.alloc(4 * 2 ** 20, 'noise')).pipe(createGzip({ level: 0 }));
  const data = Buffer.concat(await whole.toArray());
  await expect(extract(reachOf(0), Readable.from([data.subarray(0, data.length / 2)]))).rejects.toThrow(
    'unexpected EOF',
  );
});
