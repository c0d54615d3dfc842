// `caisson doctor --benchmark`: what this machine gives containers, in figures, beside those of emulated VMs. The first thing to
// ask of a machine whose KVM nobody has tried.

import type { CaissonInfo } from '../../api/v1/types';
import { errorMessage } from '../../errors';
import { ApiClient } from '../client/api-client';
import { print, type Format } from '../client/output';
import { benchmarkReport, figuresOf, type Result } from './figures';
import { measures } from './measures';
import { Subject } from './subject';

/**
 * Measures with the daemon at `host`, which must run; takes about half a minute. A measure that fails costs its own figure.
 * Resolves with the exit status: 0 if each figure came. Throws ClientError when there is no daemon.
 */
export async function runBenchmark(host: string | undefined, format: Format): Promise<number> {
  const client = new ApiClient(host);
  const info = await client.call<CaissonInfo>('GET', '/v1/info').catch((error: unknown) => {
    throw client.explain(error);
  });
  const subject = new Subject(client);
  const results: Result[] = [];
  try {
    for (const measure of measures) {
      process.stderr.write(`${measure.name}…\n`);
      try {
        results.push({ measure, value: await measure.take(subject) });
      } catch (error) {
        results.push({ measure, error: errorMessage(client.explain(error)) });
      }
    }
  } finally {
    await subject.remove();
  }
  print(format, figuresOf(info, results), () => benchmarkReport(info, results));
  return results.every(({ error }) => error === undefined) ? 0 : 1;
}
