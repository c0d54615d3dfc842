// The engine through python3-docker (Debian's): usual flows, each a function of flows.py.

import { join } from 'node:path';
import { projectDir } from '../../support/process/project-dir';
import { scriptCases } from '../harness/cases';

const flows = join(projectDir, 'test', 'compat', 'clients', 'flows.py');
const names = [
  ...['run', 'lifecycle', 'execs', 'logs', 'attach', 'stats', 'networks', 'volumes', 'images', 'events'],
  ...['options', 'errors', 'system'],
];

// Debian's python: another one on the path has not got Debian's packages.
scriptCases(
  'python3-docker',
  Object.fromEntries(names.map((name) => [name, `/usr/bin/python3 ${flows} ${name} $c`])),
);
