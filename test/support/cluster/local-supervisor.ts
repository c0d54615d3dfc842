// A supervisor on this machine: process 1 of namespaces of its own, in a root of busybox; `ctl` is brought in from outside, as
// Kubernetes' exec does it.

import {
  execFileSync,
  spawn,
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
} from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Supervisor } from '../../../src/cluster/supervisor/supervisor';
import type { ControlConnection, OpenControl } from '../../../src/cluster/supervisor/session';

const built = path.resolve('build/guest/supervisor/init');
const script = `
set -e
mount --make-rprivate /
mount -t tmpfs root "$0"
mkdir -p "$0"/bin "$0"/etc "$0"/proc "$0"/dev/pts "$0"/tmp "$0"/.caisson "$0"/sys/fs/cgroup
cp /usr/bin/busybox "$0"/bin/busybox
for name in sh cat echo sleep kill id env ls true false yes head dd touch rm mkdir stty tr wc ps test; do ln -s busybox "$0"/bin/$name; done
echo root:x:0:0:root:/root:/bin/sh >"$0"/etc/passwd
echo web:x:1000:1000::/home/web:/bin/sh >>"$0"/etc/passwd
echo root:x:0: >"$0"/etc/group
echo web:x:1000: >>"$0"/etc/group
mount -t proc proc "$0"/proc
mount -t tmpfs dev "$0"/dev
mkdir "$0"/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$0"/dev/pts
ln -s pts/ptmx "$0"/dev/ptmx
for name in null zero; do touch "$0"/dev/$name; mount --bind /dev/$name "$0"/dev/$name; done
mount -t tmpfs caisson "$0"/.caisson
cp "$1" "$0"/.caisson/init
shift
exec chroot "$0" /.caisson/init "$@"
`;

export interface LocalSupervisor {
  supervisor: Supervisor;
  open: OpenControl;
  /** Process 1, as this machine counts it. */
  pid: number;
  process: ChildProcess;
  /** Runs a command in its namespaces, beside it. */
  run(...args: string[]): string;
  /** Starts one there. */
  enter(...args: string[]): ChildProcessWithoutNullStreams;
  end(): Promise<void>;
}

/** `args`: of process 1. */
export async function startLocalSupervisor(...args: string[]): Promise<LocalSupervisor> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'supervisor-'));
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, root, built, ...args],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const pid = await firstChild(child.pid ?? 0);
  const enter = ['--target', String(pid), '--mount', '--pid', '--root', '--wd'];
  const open: OpenControl = () => {
    const ctl = spawn('nsenter', [...enter, '/.caisson/init', 'ctl'], { stdio: ['pipe', 'pipe', 'inherit'] });
    ctl.stdin.on('error', () => undefined);
    const connection: ControlConnection = {
      output: ctl.stdout,
      write: (data) =>
        new Promise((resolve, reject) =>
          ctl.stdin.write(data, (error) => (error instanceof Error ? reject(error) : resolve())),
        ),
      close: () => {
        ctl.stdout.destroy();
        ctl.stdin.destroy();
      },
    };
    return Promise.resolve(connection);
  };
  return {
    supervisor: new Supervisor(open),
    open,
    pid,
    process: child,
    run: (...args) => execFileSync('nsenter', [...enter, ...args], { encoding: 'utf8' }),
    enter: (...args) => spawn('nsenter', [...enter, ...args]),
    end: async () => {
      process.kill(pid, 'SIGKILL');
      await exited;
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The one that became process 1, once it runs the supervisor. */
async function firstChild(parent: number): Promise<number> {
  for (;;) {
    const children = fs.readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
    const pid = Number(children.split(' ')[0]);
    if (pid > 0 && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/.caisson/init')) return pid;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
