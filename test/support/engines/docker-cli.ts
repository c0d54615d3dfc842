// The docker command in the versions this machine has, and shell scripts that use one of them.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { projectDir } from '../process/project-dir';

export interface DockerCli {
  /** `20.10.24+dfsg1`; names the cases. */
  readonly version: string;
  readonly path: string;
}

/** Debian's 20.10 first, then a newer one if there is one: on the PATH, or fetched by scripts/fetch-trixie.sh. */
export function findDockerClis(): DockerCli[] {
  const fetched = join(projectDir, 'build', 'trixie', 'usr', 'bin', 'docker');
  const found: DockerCli[] = [];
  for (const path of ['/usr/bin/docker', '/usr/local/bin/docker', fetched]) {
    if (!existsSync(path)) continue;
    const version = /version ([^,]+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1];
    if (version !== undefined && !found.some((cli) => cli.version === version)) found.push({ version, path });
  }
  if (found.length === 0) throw new Error('no docker command: npm run setup');
  return found.slice(0, 2);
}

export interface StepResult {
  step: string;
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface ScriptOptions {
  cli: DockerCli;
  host: string;
  /** One shell command each; variables set in one are seen by the next. */
  steps: readonly string[];
  /** Shell variables. */
  variables?: Record<string, string>;
  /** Paths of the command's plugins; it has no others. */
  plugins?: readonly string[];
  /** Without a step's end; a slow machine may take as often as long as there are steps. */
  timeoutMs: number;
}

// wait_for: polls a command until it succeeds, for conditions that no docker command waits for; ever more slowly, since each
// docker command costs an engine and its client a tenth of a CPU second.
const prelude = `
wait_for() {
  local i
  for i in $(seq 120); do if eval "$*" >/dev/null 2>&1; then return 0; fi; sleep 0.$((i < 20 ? 2 : 5)); done
  echo "wait_for: $* never came true" >&2
  return 1
}
# busy_wait: runs a docker command again while the engine says that another prune or pull is in its way.
busy_wait() {
  local said
  while said=$("$@" 2>&1); code=$?; case $said in *"is already running"*) true ;; *) false ;; esac; do sleep 0.2; done
  printf '%s\\n' "$said"
  return $code
}
# on_host: runs a command where the engines publish their ports.
on_host() { nsenter --net="$HOST_NETWORK" "$@"; }
run_step() {
  eval "$2" >"$OUT/$1.out" 2>"$OUT/$1.err" </dev/null
  echo $? >"$OUT/$1.rc"
}
`;

/** Runs the steps in one shell whose \`docker\` is the given one, pointed at \`host\`. Throws if one takes too long. */
export async function runScript(options: ScriptOptions): Promise<StepResult[]> {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
  try {
    mkdirSync(join(dir, 'bin'));
    mkdirSync(join(dir, 'out'));
    mkdirSync(join(dir, 'work'));
    symlinkSync(options.cli.path, join(dir, 'bin', 'docker'));
    const pluginDir = join(dir, 'config', 'cli-plugins');
    mkdirSync(pluginDir, { recursive: true });
    for (const plugin of options.plugins ?? []) symlinkSync(plugin, join(pluginDir, basename(plugin)));
    const environment = {
      PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
      HOME: dir,
      DOCKER_HOST: options.host,
      DOCKER_CONFIG: join(dir, 'config'),
      DOCKER_BUILDKIT: '0',
      OUT: join(dir, 'out'),
      LANG: 'C.UTF-8',
      TERM: 'xterm',
      ...options.variables,
    };
    const body = options.steps.map((step, index) => `run_step ${index} ${quote(step)}`).join('\n');
    const endedSteps = (): number =>
      readdirSync(join(dir, 'out')).filter((name) => name.endsWith('.rc')).length;
    const script = `${prelude}\ncd ${quote(join(dir, 'work'))}\n${body}\n`;
    await runShell(script, environment, options.timeoutMs, endedSteps);
    const read = (name: string): string =>
      readFileSync(join(dir, 'out', name), 'utf8').replaceAll(dir, '<dir>');
    const ended = new Set(readdirSync(join(dir, 'out')).filter((name) => name.endsWith('.rc')));
    return options.steps.map((step, index) => {
      if (!ended.has(`${index}.rc`)) {
        const before =
          index === 0 ? '' : `; before it: ${read(`${index - 1}.out`)}${read(`${index - 1}.err`)}`;
        throw new Error(`$ ${step}\ndid not end within ${options.timeoutMs} ms${before}`);
      }
      const exitCode = Number(read(`${index}.rc`));
      return { step, exitCode, stdout: read(`${index}.out`), stderr: read(`${index}.err`) };
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Kills it when `progress` has stayed the same for `timeoutMs`. */
function runShell(
  script: string,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
  progress: () => number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // a process group of its own, so that a hanging docker command ends with it
    const shell = spawn('bash', ['-c', script], { env, stdio: 'ignore', detached: true });
    const killGroup = (): void => {
      try {
        if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
      } catch {
        // nobody is left in it
      }
    };
    let last = { progress: 0, at: Date.now() };
    const timer = setInterval(() => {
      const now = { progress: progress(), at: Date.now() };
      if (now.progress !== last.progress) last = now;
      else if (now.at - last.at > timeoutMs) killGroup();
    }, 1000);
    shell.once('error', reject);
    shell.once('exit', () => {
      clearInterval(timer);
      killGroup(); // what a step left in the background
      resolve();
    });
  });
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
