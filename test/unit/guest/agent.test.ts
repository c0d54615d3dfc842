// The agent's own unit tests, in C, under the address and undefined-behaviour sanitizers.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

test('make -C guest test', () => {
  execFileSync('make', ['-s', '-C', path.resolve(__dirname, '../../../guest'), 'test'], { stdio: 'pipe' });
}, 120_000);
