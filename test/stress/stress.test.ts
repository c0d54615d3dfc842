// Clients that do everything at once, on a host that is oversubscribed, while the daemon, VMs, file servers and network helpers are
// killed; and then a count: no line, synced byte, exit code or event is lost or doubled, nothing is left, and every verb works.
//
//   CAISSON_STRESS_SECONDS   600
//   CAISSON_STRESS_SEED      fixes what each client does, and what is killed; chosen and told without
//   CAISSON_STRESS_LOAD      programs for each CPU that do nothing but want it: 10
//   CAISSON_STRESS_CLIENTS   6
//   CAISSON_STRESS_ONLY      scenarios, separated by commas
//   CAISSON_STRESS_CALM      nothing is killed
//   CAISSON_STRESS_SHOW      each step as it is taken

import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';

import { CaissonDaemon } from '../support/engines/caisson-daemon';
import { makeBusyboxArchive } from '../support/images/test-images';
import { NetworkNamespace } from '../support/network/network-namespace';
import { projectDir } from '../support/process/project-dir';
import { makeScratchDir } from '../support/process/scratch-dir';
import { EngineClient } from './engine-client';
import { EventWatch } from './event-watch';
import { helperPids, leftWithDaemon, leftWithout } from './leftovers';
import { Disturbed, Interrupted, Ledger } from './ledger';
import { Killer } from './killer';
import { startLoad } from './load';
import { Random } from './random';
import { menu, scenarios } from './scenarios';
import { pause, World } from './world';

const setting = (name: string, otherwise: number): number =>
  Number(process.env[`CAISSON_STRESS_${name}`] ?? otherwise);

const seconds = setting('SECONDS', 600);
const seed = setting('SEED', Math.floor(Math.random() * 1e6));
const load = setting('LOAD', 10);
const clients = setting('CLIENTS', 6);
const chosen = process.env['CAISSON_STRESS_ONLY']?.split(',') ?? menu;
const isCalm = process.env['CAISSON_STRESS_CALM'] !== undefined;
/** What is counted at the end, and a host that is slow. */
const slackMs = 30 * 60_000;

const ledger = new Ledger();
const endings: (() => Promise<void> | void)[] = [];
let dir = '';

afterAll(async () => {
  const kept = join(projectDir, 'build', 'stress');
  mkdirSync(kept, { recursive: true });
  if (existsSync(join(dir, 'caisson.log'))) copyFileSync(join(dir, 'caisson.log'), join(kept, 'caisson.log'));
  for (const end of endings.reverse()) await end();
}, slackMs);

/** One scenario, and its end, which no kill may stand in the way of. */
async function play(world: World, name: string): Promise<void> {
  try {
    await scenarios[name]?.(world);
  } catch (error) {
    // faults are noted already; what was killed was the reason else
    if (!(error instanceof Disturbed || error instanceof Interrupted))
      world.fault(String((error as Error).stack));
  }
  await world.end().catch((error: unknown) => {
    if (!(error instanceof Disturbed)) world.fault(String(error));
  });
}

test(
  `seed ${seed}`,
  async () => {
    dir = makeScratchDir('stress');
    const namespace = await NetworkNamespace.create();
    endings.push(async () => {
      await namespace.delete();
      rmSync(dir, { recursive: true, force: true });
    });
    const daemon = await CaissonDaemon.start({
      dir,
      namespace,
      args: ['--accel', 'tcg', '--pool-size', '1'],
    });
    endings.push(() => daemon.stop());
    const archive = makeBusyboxArchive(dir, 'busybox:latest');
    execFileSync('docker', ['--host', daemon.host, 'load', '--quiet', '--input', archive]);
    // The template is made now: a daemon that is killed again and again would never come to it.
    execFileSync('docker', ['--host', daemon.host, 'run', '--rm', 'busybox', 'true']);
    const stopLoad = startLoad(load);
    endings.push(stopLoad);

    const client = (who: string): EngineClient => new EngineClient(daemon.host, who, ledger);
    const watch = new EventWatch(client('events'));
    watch.start();
    const killer = new Killer(daemon, ledger, new Random(seed, 'killer'));
    const untilMs = performance.now() + seconds * 1000;
    const work = async (index: number): Promise<void> => {
      const random = new Random(seed, `client ${index}`);
      for (let round = 0; performance.now() < untilMs; round += 1) {
        const name = random.of(chosen);
        const world = new World(client(`client ${index} ${name}`), random, `c${index}-${round}`);
        await play(world, name);
      }
    };
    await Promise.all([
      ...Array.from({ length: clients }, (_, index) => work(index)),
      isCalm ? Promise.resolve() : killer.run(untilMs),
    ]);

    ledger.step('test', 'everything has ended; every verb once more');
    stopLoad();
    if (!isCalm) await killer.restartDaemon();
    // what was killed last may be missed until then
    while (ledger.kills.some(({ over = 0 }) => over > performance.now())) await pause(500);
    const random = new Random(seed, 'after');
    for (const name of new Set(chosen))
      await play(new World(client(`after ${name}`), random, `after-${name}`), name);

    const left = await client('count').json<{ Names: string[] }[]>('GET', '/containers/json?all=1');
    for (const { Names } of left) ledger.fault('count', `container ${Names.join()} is left`);
    await client('count').ask('POST', '/networks/prune');
    await watch.end();
    watch.check(ledger);
    await until(() => leftWithDaemon(daemon).length === 0);
    for (const thing of leftWithDaemon(daemon)) ledger.fault('count', `${thing} is left`);
    const helpers = helperPids(daemon);
    await daemon.process.stop(slackMs);
    await until(() => leftWithout(daemon, helpers).length === 0);
    for (const thing of leftWithout(daemon, helpers))
      ledger.fault('count', `${thing} is left after the daemon's end`);

    const kinds = ledger.kills.map(({ what }) => what);
    const counts = [...new Set(kinds)].map(
      (kind) => `${kinds.filter((other) => other === kind).length} ${kind}`,
    );
    const summary = `${ledger.stepCount} steps, kills: ${counts.join(', ') || 'none'}; daemons answered after ${killer.restartMs.join(', ')} ms`;
    console.info(`seed ${seed}: ${summary}`); // eslint-disable-line no-console -- what the run was is worth a line
    if (ledger.faults.length === 0) return;
    const again = `CAISSON_STRESS_SEED=${seed} CAISSON_STRESS_SECONDS=${seconds} CAISSON_STRESS_CLIENTS=${clients} npm run stress`;
    throw new Error(
      `${ledger.faults.length} faults (${summary})\nagain: ${again}\n\n${ledger.faults.slice(0, 20).join('\n\n')}\n\nthe last steps:\n${ledger.lastSteps()}`,
    );
  },
  seconds * 1000 + slackMs,
);

/** For a while: what is being taken away takes its time. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 120 && !condition(); tries += 1) await pause(500);
}
