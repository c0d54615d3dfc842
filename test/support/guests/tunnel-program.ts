// The supervisor's end of tunnels, as a program of its own.

import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { projectDir } from '../process/project-dir';
import { makeScratchDir } from '../process/scratch-dir';

const guest = join(projectDir, 'guest');

/** Compiles it. Its arguments: an address to which it connects, or sockets, as process 1 is told of them. */
export function buildTunnelProgram(): (args: readonly string[]) => ChildProcessWithoutNullStreams {
  const program = join(makeScratchDir('tunnel'), 'tunnel');
  const parts = [
    'supervisor/sockets/sockets.c',
    'supervisor/tasks/tunnel.c',
    'init/core/ring.c',
    'init/core/fields.c',
    'init/core/failure.c',
  ];
  execFileSync('gcc', [
    ...['-std=gnu17', '-D_GNU_SOURCE', '-O1', '-g', '-fsanitize=address,undefined', '-o', program],
    ...['supervisor', 'init', '..'].flatMap((folder) => ['-iquote', join(guest, folder)]),
    ...['test/programs/tunnel.c', ...parts].map((file) => join(guest, file)),
    '-ljansson',
  ]);
  return (args) => {
    const child = spawn(program, args);
    child.stdin.on('error', () => undefined); // it may have ended
    return child;
  };
}

/** Resolves when there is room for more. */
export function writeTo(child: ChildProcessWithoutNullStreams, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (child.stdin.write(data)) resolve();
    else child.stdin.once('drain', resolve);
  });
}
