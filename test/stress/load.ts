// Other people on the host: programs that want a CPU all the time.

import { spawn, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** So many for each CPU. Returns what ends them; they end with this process in any case. */
export function startLoad(times: number): () => void {
  const script = 'while kill -0 "$1" 2>/dev/null; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done';
  const children: ChildProcess[] = Array.from({ length: times * availableParallelism() }, () =>
    spawn('sh', ['-c', script, 'load', String(process.pid)], { stdio: 'ignore' }),
  );
  return () => children.forEach((child) => child.kill('SIGKILL'));
}
