// What is measured, how, and what it was on emulated VMs.

import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { runTool } from '../../host/run-tool';
import { bigBytes, type Subject } from './subject';

export interface Measure {
  readonly name: string;
  readonly unit: 'ms' | 'MB/s' | '/s' | 'times slower than the host';
  /** What our reference without KVM gave, quiet: docs/accelerators.md says which machine that is. */
  readonly emulated: number;
  readonly take: (subject: Subject) => Promise<number>;
}

/** Counted on the host and in the guest: what a shell does in a millisecond or so. */
const countTo1000 = 'i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done';
/** Small enough for /dev/shm's 64 MB. */
const touchMegabytes = 16;

export const measures: readonly Measure[] = [
  {
    name: 'start, run to exit',
    unit: 'ms',
    emulated: 400,
    take: async (subject) => medianOf(5, () => subject.runOne()),
  },
  {
    name: 'exec',
    unit: 'ms',
    emulated: 82,
    take: async (subject) => medianOf(7, () => subject.exec('true')),
  },
  {
    name: 'CPU, a shell that counts',
    unit: 'times slower than the host',
    emulated: 29,
    take: async (subject) => {
      const script = ratePerSecond(countTo1000);
      const inside = parseRate(await subject.exec(script));
      const outside = await runTool('busybox', ['sh', '-c', script]).catch(() => {
        throw new Error('the host has no busybox to compare with: install busybox-static');
      });
      return parseRate(outside) / inside;
    },
  },
  {
    name: 'memory, touched anew',
    unit: 'MB/s',
    emulated: 200,
    take: async (subject) =>
      touchMegabytes *
      parseRate(
        await subject.exec(
          ratePerSecond(
            `dd if=/dev/zero of=/dev/shm/touched bs=1M count=${touchMegabytes} 2>/dev/null; rm /dev/shm/touched`,
          ),
        ),
      ),
  },
  {
    name: 'small files on its own disk',
    unit: '/s',
    emulated: 1250,
    take: (subject) => smallFiles(subject, '/small'),
  },
  {
    name: 'small files in a volume',
    unit: '/s',
    emulated: 220,
    take: (subject) => smallFiles(subject, '/volume/small'),
  },
  {
    name: 'request through a published port',
    unit: 'ms',
    emulated: 9,
    take: async (subject) => {
      const port = await webServer(subject);
      return medianOf(20, () => fetchBytes(port, '/index.html'));
    },
  },
  {
    name: 'bulk through a published port',
    unit: 'MB/s',
    emulated: 160,
    take: async (subject) => {
      const port = await webServer(subject);
      const milliseconds = await medianOf(3, async () => {
        const bytes = await fetchBytes(port, '/big');
        if (bytes !== bigBytes) throw new Error(`${bytes} bytes came instead of ${bigBytes}`);
      });
      return bigBytes / 1000 / milliseconds;
    },
  },
];

/**
 * A script that does `chunk` again and again for a second of its machine's clock, which has hundredths, and writes how often it
 * did and in how many hundredths: the same script takes a second on a slow guest and on a fast one.
 */
export function ratePerSecond(chunk: string): string {
  return `now() { read -r up idle </proc/uptime; now=$((\${up%.*} * 100 + 1\${up#*.} - 100)); }
n=0; now; start=$now
while [ $((now - start)) -lt 100 ]; do ${chunk}; n=$((n+1)); now; done
echo $n $((now - start))`;
}

/** Chunks in a second, of what ratePerSecond's script wrote. Throws on anything else. */
export function parseRate(text: string): number {
  const [, count, hundredths] = /^(\d{1,9}) (\d{1,9})\s*$/.exec(text) ?? [];
  if (count === undefined || hundredths === undefined || Number(hundredths) === 0) {
    throw new Error(`the container wrote something else than a rate: ${JSON.stringify(text.slice(0, 100))}`);
  }
  return (Number(count) * 100) / Number(hundredths);
}

/** Files of two bytes, made and removed, in a second. */
async function smallFiles(subject: Subject, directory: string): Promise<number> {
  const filesAtOnce = 10;
  const chunk = `for f in 0 1 2 3 4 5 6 7 8 9; do echo $f >${directory}/$n-$f; done`;
  const output = await subject.exec(
    `mkdir -p ${directory} || exit 1\n${ratePerSecond(chunk)}\nrm -r ${directory}`,
  );
  return filesAtOnce * parseRate(output);
}

/** Its port, once the server answers with the whole file: the container makes that first. */
async function webServer(subject: Subject): Promise<number> {
  await subject.exec(
    `until [ "$(wget -q -O - http://127.0.0.1/big | wc -c)" = ${bigBytes} ]; do sleep 0.1; done`,
  );
  return subject.port();
}

/** Bytes of the body; a connection of its own, as a stranger's would be. Rejects for another status than 200. */
function fetchBytes(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let bytes = 0;
      if (response.statusCode !== 200) {
        response.destroy();
        reject(new Error(`the container's web server answered ${response.statusCode ?? 0}`));
        return;
      }
      response.on('data', (chunk: Buffer) => (bytes += chunk.length));
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** Milliseconds, the median of `times`. */
async function medianOf(times: number, step: () => Promise<unknown>): Promise<number> {
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    const begin = performance.now();
    await step();
    taken.push(performance.now() - begin);
  }
  taken.sort((a, b) => a - b);
  return taken[Math.floor(times / 2)] ?? Number.NaN;
}
