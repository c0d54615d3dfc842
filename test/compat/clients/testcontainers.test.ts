// testcontainers for Node. Its reaper (Ryuk) wants the engine's socket in a container and is switched off.

import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';
import { scriptCases } from '../harness/cases';

const client = join(projectDir, 'test', 'compat', 'clients', 'testcontainers-client.mjs');

scriptCases('testcontainers', {
  'start, wait for a port, exec, logs, restart, stop': {
    script: `
      TESTCONTAINERS_RYUK_DISABLED=true on_host ${process.execPath} ${client} $c
      docker ps -aq --filter label=case=$c`,
    timeoutSeconds: 120,
  },
});
