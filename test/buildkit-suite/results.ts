// What a Go test binary says of each test.

import { readFileSync } from 'node:fs';

export type TestResult = 'PASS' | 'FAIL' | 'SKIP';

/** By the test's name, without its worker; only those that ran against an engine. */
export function readResults(path: string): Map<string, TestResult> {
  const results = new Map<string, TestResult>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, result, name] = /^\x16? *--- (PASS|FAIL|SKIP): [^/]+\/(\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    // a subtest's name goes on behind the worker's
    const test = /^(.*?)\/worker=[^/]+(.*)$/.exec(name);
    if (test === null) continue;
    results.set(`${test[1] ?? ''}${test[2] ?? ''}`, result as TestResult);
  }
  return results;
}
