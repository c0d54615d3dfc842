// installation/: the program on this machine: what it needs there, its daemon's start and end, another version of it.
//
// Where `caisson up` puts things. The variables are for tests, and for a second engine beside the first.

import { join } from 'node:path';

export interface Places {
  runDir: string;
  dataRoot: string;
  /** Of the API. */
  socket: string;
  /** Of the daemon that `up` has started. */
  pidFile: string;
  logFile: string;
  /** The link that puts a checkout's command on everybody's PATH. */
  commandLink: string;
  /** The web page's usual port. */
  webPort: number;
  /** More options of the daemon. */
  daemonArgs: readonly string[];
}

export function placesOf(environment: NodeJS.ProcessEnv = process.env): Places {
  const runDir = environment['CAISSON_RUN_DIR'] ?? '/run/caisson';
  return {
    runDir,
    dataRoot: environment['CAISSON_DATA_ROOT'] ?? '/var/lib/caisson',
    socket: join(runDir, 'caisson.sock'),
    pidFile: join(runDir, 'up.pid'),
    logFile: environment['CAISSON_LOG'] ?? '/var/log/caisson.log',
    commandLink: join(environment['CAISSON_BIN_DIR'] ?? '/usr/local/bin', 'caisson'),
    webPort: Number(environment['CAISSON_WEB_PORT'] ?? 890),
    daemonArgs: (environment['CAISSON_ARGS'] ?? '').split(/\s+/).filter((word) => word !== ''),
  };
}
