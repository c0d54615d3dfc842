// docker run: what the process sees, and what the client gets back.

import { scriptCases } from './harness/cases';

scriptCases('run', {
  'exit code of the process': { script: `docker run --rm busybox sh -c 'exit 7'`, bothClis: true },
  'stdout and stderr stay apart': `docker run --rm busybox sh -c 'echo out; echo err >&2'`,
});
