// Kills of VMs and of the daemon while PostgreSQL works on a volume and on a bind mount. Prints a line for each kill; exits with
// 1 if anything that was acknowledged is not there, or the cluster is not whole at the end.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

import type { CaissonDaemon } from '../test/support/engines/caisson-daemon';
import {
  asPostgres,
  clusterPath,
  databaseOptions,
  makeCluster,
  makeDirectory,
  pullDatabase,
} from './database';
import { runInLab, type Lab } from './lab';
import { DockerClient, timed } from './measure';

const name = 'database';
/** Between these it works before it is killed. */
const workSeconds = [10, 15] as const;
/** Until a server that was killed with its VM answers again: its start, and what it reads of its log. */
const recoverySeconds = 300;
// By default the server syncs each of a thousand files after a crash, before it begins: some thousand questions to the host
const settings =
  '-c checkpoint_timeout=30s -c shared_buffers=16MB -c recovery_init_sync_method=syncfs -c listen_addresses=';

/** One whose inserts are numbered, beside pgbench; what it was told is safe comes back at once. */
class Committer {
  readonly ended: Promise<void>;
  /** The last number that is safe. */
  acknowledged: number;

  constructor(client: DockerClient, after: number) {
    // not vacuumed first: pgbench would empty its history, too
    this.acknowledged = after;
    const numbers = `seq ${after + 1} 10000000 | sed "s/.*/INSERT INTO acknowledged VALUES (&) RETURNING n;/"`;
    const script = `pgbench -n -c 4 -T 3600 postgres >/dev/null 2>&1 & ${numbers} | psql -XqAt postgres 2>/dev/null`;
    const docker = spawn('/usr/bin/docker', ['--host', client.host, ...asPostgres(name, script)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: docker.stdout });
    lines.on('line', (line) => (this.acknowledged = Math.max(this.acknowledged, Number(line))));
    this.ended = new Promise((resolve) => lines.once('close', () => resolve()));
  }
}

/** A database whose VM, or daemon, is killed again and again. */
class KilledDatabase {
  readonly #daemon: CaissonDaemon;
  readonly #client: DockerClient;
  /** On the host. */
  readonly #files: string;
  #acknowledged = 0;

  private constructor(daemon: CaissonDaemon, client: DockerClient, files: string) {
    this.#daemon = daemon;
    this.#client = client;
    this.#files = files;
  }

  /** `source` as for `--volume`, with a cluster in it. */
  static async start(daemon: CaissonDaemon, source: string): Promise<KilledDatabase> {
    const client = new DockerClient(daemon.host);
    // An init: as process 1 the server takes clients of an exec that ended for processes of its own, and their failure for a crash.
    const user = ['--init', '--user', 'postgres', '--stop-signal', 'SIGINT'];
    const server = ['postgres', '-D', clusterPath, ...settings.split(' ')];
    client.run('run', '--detach', ...user, ...databaseOptions(name, source), pullDatabase(client), ...server);
    const mount = client.output('inspect', '-f', '{{(index .Mounts 0).Source}}', name).trim();
    const database = new KilledDatabase(daemon, client, join(mount, basename(clusterPath)));
    await database.#answers();
    return database;
  }

  #query(sql: string): string {
    return this.#client.output(...asPostgres(name, `psql -XqAt -c "${sql}" postgres`)).trim();
  }

  /** Resolves when the server takes connections. Throws when that takes too long. */
  async #answers(): Promise<void> {
    const deadline = Date.now() + recoverySeconds * 1000;
    for (;;) {
      try {
        this.#client.run(...asPostgres(name, 'pg_isready -q'));
        return;
      } catch (error) {
        if (Date.now() >= deadline) throw new Error('the server does not answer', { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async kill(what: 'VM' | 'daemon'): Promise<string> {
    const committer = new Committer(this.#client, this.#acknowledged);
    const [least, most] = workSeconds;
    const seconds = least + Math.random() * (most - least);
    const deadline = Date.now() + recoverySeconds * 1000;
    const until = Date.now() + seconds * 1000;
    while (Date.now() < until || committer.acknowledged === this.#acknowledged) {
      if (Date.now() > deadline) throw new Error('nothing was acknowledged');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const taken = what === 'VM' ? await this.#killVm(committer) : await this.#killDaemon(committer);
    const more = committer.acknowledged - this.#acknowledged;
    this.#acknowledged = committer.acknowledged;
    const transactions = this.#requireWhole();
    return `${what} killed after ${seconds.toFixed(1)} s; answered ${(taken / 1000).toFixed(1)} s later; ${more} commits and ${transactions} transactions there`;
  }

  /** How long it took until the server answered again, in milliseconds. */
  async #killVm(committer: Committer): Promise<number> {
    process.kill(this.#qemuPid(), 'SIGKILL');
    return timed(async () => {
      if (this.#client.output('wait', name).trim() !== '137') throw new Error('the VM was not killed');
      await committer.ended;
      this.#client.run('start', name);
      await this.#answers();
    });
  }

  async #killDaemon(committer: Committer): Promise<number> {
    const started = this.#query('SELECT pg_postmaster_start_time()');
    return timed(async () => {
      await this.#daemon.kill9();
      await committer.ended;
      await this.#daemon.start();
      await this.#answers();
      if (this.#query('SELECT pg_postmaster_start_time()') !== started)
        throw new Error('the server did not survive the daemon');
      // its clients have gone on; the next ones are others
      this.#query(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      );
    });
  }

  #qemuPid(): number {
    const podId = this.#client.output('inspect', '-f', '{{.Id}}', name).trim();
    const vms = join(this.#daemon.dir, 'run', 'vms');
    const records = readdirSync(vms).map((id) => readFileSync(join(vms, id, 'vm.json'), 'utf8'));
    const record = records.find((text) => text.includes(`"podId":"${podId}"`)) ?? '{}';
    // the daemon's own file
    return (JSON.parse(record) as { process: { pid: number } }).process.pid;
  }

  /** Throws if a commit is missing, or half a transaction is there. Returns the number of pgbench's transactions. */
  #requireWhole(): string {
    const numbers = this.#query(`SELECT count(*) FROM acknowledged WHERE n <= ${this.#acknowledged}`);
    if (Number(numbers) !== this.#acknowledged)
      throw new Error(`${this.#acknowledged} commits were acknowledged, ${numbers} are there`);
    this.#acknowledged = Number(this.#query('SELECT max(n) FROM acknowledged'));
    const sums = this.#query(
      'SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), ' +
        '(SELECT sum(bbalance) FROM pgbench_branches), coalesce(sum(delta), 0), count(*) FROM pgbench_history',
    ).split('|');
    if (new Set(sums.slice(0, 4)).size !== 1) throw new Error(`sums differ: ${sums.join(' ')}`);
    return sums[4] ?? '';
  }

  /** Indexes, pages and files as the guest and the host see them. Throws what is wrong. Removes the container. */
  async requireSound(): Promise<string> {
    this.#client.run(...asPostgres(name, 'pg_amcheck --install-missing --heapallindexed postgres'));
    this.#client.run('stop', '--time', '120', name);
    const image = pullDatabase(this.#client);
    const run = (script: string): string => {
      const options = [
        '--rm',
        '--user',
        'postgres',
        '--volumes-from',
        name,
        '--env',
        'PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin',
      ];
      return this.#client.output('run', ...options, image, 'sh', '-ec', script);
    };
    const checked = run(`pg_checksums --check -D ${clusterPath}`);
    const sums = 'find . -type f -exec sha256sum {} + | sort -k 2';
    const inside = run(`cd ${clusterPath}; ${sums}`);
    const outside = execFileSync('sh', ['-c', sums], { cwd: this.#files, encoding: 'utf8' });
    if (inside !== outside) throw new Error('guest and host read different files');
    await this.#client.removeAll();
    return checked.replace(/\n/g, '; ') + `${outside.split('\n').length - 1} files read`;
  }
}

function say(line: string): void {
  process.stdout.write(
    `${new Date().toISOString().slice(11, 19)} load ${loadavg()[0]?.toFixed(0)}: ${line}\n`,
  );
}

/** A cluster with pgbench's tables and ours in `dir`, made by dockerd: in an emulated VM it takes half a minute at best. */
async function makeDatabase(client: DockerClient, dir: string): Promise<void> {
  client.run('run', '--detach', ...databaseOptions(name, dir), pullDatabase(client), 'sleep', '100000');
  client.run('exec', name, 'sh', '-c', makeDirectory);
  const table = 'CREATE TABLE acknowledged (n integer PRIMARY KEY)';
  const steps = [
    makeCluster,
    `pg_ctl -D ${clusterPath} -w -l /tmp/log start`,
    'pgbench -qi postgres',
    `psql -Xqc "${table}" postgres`,
    `pg_ctl -D ${clusterPath} -w stop`,
  ];
  for (const step of steps) client.run(...asPostgres(name, step));
  await client.removeAll();
}

/** Kills of each kind. `source`: a volume, or a directory that is not there. `made`: the directory with the cluster. */
async function killAll(daemon: CaissonDaemon, source: string, made: string, times: number): Promise<void> {
  if (times === 0) return;
  const client = new DockerClient(daemon.host);
  const isBind = source.startsWith('/');
  if (!isBind) client.run('volume', 'create', source);
  const files = isBind ? source : client.output('volume', 'inspect', '-f', '{{.Mountpoint}}', source).trim();
  execFileSync('cp', ['--archive', '--no-target-directory', made, files]);
  try {
    const database = await KilledDatabase.start(daemon, source);
    say(`a database on ${source}`);
    for (let round = 1; round <= times; round += 1)
      for (const what of ['VM', 'daemon'] as const) say(`${round}: ${await database.kill(what)}`);
    say(await database.requireSound());
  } catch (error) {
    const { stderr } = spawnSync('/usr/bin/docker', ['--host', daemon.host, 'logs', '--tail', '60', name]);
    say(`the server said:\n${stderr.toString()}`);
    throw error;
  }
}

/** `times`: kills of each kind on the volume, and on the bind mount. */
async function main(times: readonly [number, number], lab: Lab): Promise<void> {
  const made = join(lab.dir, 'made');
  await makeDatabase(new DockerClient(lab.oracle.host), made);
  const daemon = await lab.startCaisson('c', ['--pool-size', '1']);
  await killAll(daemon, 'database', made, times[0]);
  await killAll(daemon, join(lab.dir, 'bind'), made, times[1]);
}

const [onVolume = 10, onBind = 5] = process.argv.slice(2).map(Number);
runInLab((lab) => main([onVolume, onBind], lab));
