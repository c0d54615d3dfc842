// host/: small dealings with the machine.
//
// Runs the host's tools (mke2fs, sqfstar …) without a shell.

import { execFile } from 'node:child_process';
import { DaemonError } from '../errors';
import { helperEnvironment } from './helper-environment';

/** Standard output of a tool that succeeded. Rejects with Internal and what the tool complained of. */
export function runTool(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 64 * 1024 * 1024, env: helperEnvironment() };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const missing = 'code' in error && error.code === 'ENOENT';
      const why = missing ? 'not installed; see caisson doctor' : stderr.trim() || error.message;
      reject(new DaemonError('Internal', `${program}: ${why}`, { cause: error }));
    });
  });
}
