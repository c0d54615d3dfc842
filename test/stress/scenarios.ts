// What clients of the stress test do. Each scenario knows what must come of it, to the byte.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeTar } from '../support/images/tar-maker';
import { pause, type World } from './world';

export type Scenario = (world: World) => Promise<void>;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Lines on both streams, to the log, to who is attached and to who follows; then the exit code. */
async function lines(world: World): Promise<void> {
  const { random, client } = world;
  const isSlow = random.isOneIn(3);
  const count = isSlow ? random.between(10, 40) : random.between(20, 2000);
  const code = random.between(0, 100);
  const script = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "out $i"; [ $((i % 3)) = 0 ] && echo "err $i" >&2;
    ${isSlow ? 'sleep 0.2;' : ''} done; exit ${code}`;
  const [attaches, follows] = [random.isOneIn(2), random.isOneIn(2)];
  const id = await world.container({ script });
  const since = performance.now();
  const path = `/containers/${id}/attach?stream=1&stdout=1&stderr=1`;
  const attached = attaches ? await world.again(() => client.hijack(path, undefined, [id])) : undefined;
  await world.start(id);
  const following = follows ? world.logs(id, '&follow=1') : undefined;
  following?.catch(() => undefined);
  const ownEnd = world.isOwnEnd(id, await world.exitCode(id), code);
  const out = numbers(count).map((number) => `out ${number}`);
  const err = numbers(Math.floor(count / 3)).map((number) => `err ${number * 3}`);
  const check = (what: string, said: { stdout: string; stderr: string }, whole: boolean): void => {
    world.compare(`stdout ${what} of ${id}`, said.stdout, out, whole);
    world.compare(`stderr ${what} of ${id}`, said.stderr, err, whole);
  };
  check('in the log', await world.logs(id), ownEnd);
  const whole = ownEnd && !client.ledger.wasAway(since);
  if (attached !== undefined) check('attached', await attached.output, whole);
  if (following !== undefined) check('followed', await following, whole);
  if ((await world.state(id)).ExitCode !== (ownEnd ? code : 137))
    world.fault(`inspect of ${id} has another code than wait`);
}

/** Numbers that are synced to a volume and to the container's own disk before they are said. */
async function journal(world: World): Promise<void> {
  const { random, client } = world;
  const volume = await world.volume();
  const script = `i=$(grep -c . /v/journal 2>/dev/null); i=\${i:-0}; while :; do i=$((i+1));
    for d in /v /; do echo $i | dd of=$d/journal oflag=append conv=notrunc,fsync 2>/dev/null || exit 9; done; echo $i; done`;
  const id = await world.container({ script, hostConfig: { Binds: [`${volume.name}:/v`] } });
  for (let round = 0; round < 2; round += 1) {
    await world.start(id);
    const before = (await world.logs(id)).stdout.split('\n').length;
    await world.until(id, before + random.between(3, 12));
    const end = random.of(['stop?t=1', 'kill', 'kill?signal=TERM', 'restart?t=0']);
    await world.post(`/containers/${id}/${end}`, id, undefined, [304, 409]);
    if (end.startsWith('restart') || end.includes('TERM'))
      await world.post(`/containers/${id}/kill`, id, undefined, [409]);
    await world.exitCode(id);
    const said = (await world.logs(id)).stdout.split('\n').filter((line) => line !== '');
    checkJournal(world, id, 'volume', textOf(join(volume.path, 'journal')), said);
    const path = `/containers/${id}/archive?path=/journal`;
    const copied = await world.again(() => client.ask('GET', path, { on: [id], accepts: [404] }));
    checkJournal(world, id, 'disk', copied.status === 404 ? '' : firstFile(copied.body), said);
  }
}

/** What was said is on the disk; what is there besides was not said yet. */
function checkJournal(
  world: World,
  id: string,
  where: string,
  journal: string,
  said: readonly string[],
): void {
  const known = new Set(journal.split('\n'));
  const missing = said.filter((line) => !known.has(line));
  if (missing.length > 0)
    world.fault(`${id}: ${missing.join(' ')} of ${said.length} were synced and are not on the ${where}`);
}

/** Nothing where nothing was written: the file server was killed before. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function firstFile(tar: Buffer): string {
  const size = parseInt(tar.toString('latin1', 124, 136), 8);
  return tar.toString('utf8', 512, 512 + size);
}

/** SIGTERM is bit 14 of what the first process catches. */
const untilTermIsCaught = 'until grep -q "^SigCgt:.*[4-7c-f]...$" /proc/1/status; do sleep 0.1; done';

/** Everything that is done to a container that runs. */
async function verbs(world: World): Promise<void> {
  const { random, client } = world;
  const script = 'trap "exit 5" TERM; while :; do sleep 0.1; done';
  const id = await world.container({ script });
  const on = [id];
  await world.start(id);
  const exec = async (): Promise<void> => {
    const [count, code] = [random.between(1, 500), random.between(0, 100)];
    const command = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo $i; done; exit ${code}`;
    const { stdout, code: told } = await world.again(() => world.exec(id, ['sh', '-c', command]));
    world.compare(`exec in ${id}`, stdout, numbers(count).map(String), true);
    if (told !== code) world.fault(`an exec in ${id} exits with ${String(told)}, not ${code}`);
  };
  // After a start or a restart the shell has its trap a moment later, and a first process is not reached by what it does not catch.
  const ready = (): Promise<unknown> => world.again(() => world.exec(id, ['sh', '-c', untilTermIsCaught]));
  const copy = async (): Promise<void> => {
    const data = Buffer.alloc(random.between(1, 300_000), `${random.between(1, 1e9)} `);
    const name = `file${random.between(1, 3)}`;
    await world.again(() =>
      client.ask('PUT', `/containers/${id}/archive?path=/`, { body: makeTar([{ name, data }]), on }),
    );
    const back = await world.again(() =>
      client.ask('GET', `/containers/${id}/archive?path=/${name}`, { on }),
    );
    if (firstFile(back.body) !== data.toString())
      world.fault(`${name} is another one when it comes back from ${id}`);
  };
  const pauseIt = async (): Promise<void> => {
    await world.post(`/containers/${id}/pause`, id, undefined, [409]);
    if ((await world.state(id)).Status !== 'paused' && !client.ledger.wasKilled(id))
      world.fault(`${id} is not paused`);
    await world.post(`/containers/${id}/unpause`, id, undefined, [500]);
  };
  const look = (path: string) => async (): Promise<void> => {
    await world.again(() => client.ask('GET', `/containers/${id}/${path}`, { on }));
  };
  const rename = async (): Promise<void> => {
    const name = world.name();
    await world.post(`/containers/${id}/rename?name=${name}`, id, undefined, [400, 409]);
    world.onEnd(() => world.remove(`/containers/${name}?force=1&v=1`));
  };
  const actions = [
    ...[exec, exec, copy, pauseIt, rename],
    () => Promise.all([exec(), exec(), copy()]).then(() => undefined),
    ...['top', 'stats?stream=0', 'changes', 'export', 'json?size=1'].map(look),
    () => world.post(`/containers/${id}/update`, id, { CpuShares: random.between(2, 1024) }),
    () => world.post(`/containers/${id}/restart?t=${random.between(0, 1)}`, id),
  ];
  for (let step = random.between(3, 8); step > 0; step -= 1) await random.of(actions)();
  await ready();
  // `t` is the wall's and Docker's own; a trap that a busy host is slow to run is no failure. Less than a request may take.
  await world.post(`/containers/${id}/stop?t=200`, id, undefined, [304]);
  world.isOwnEnd(id, await world.exitCode(id), 5);
}

/** An image of a container, and one of a Dockerfile, each of which has what was put into it. */
async function images(world: World): Promise<void> {
  const { random, client } = world;
  const tag = world.name();
  const word = `${tag}-${random.between(1, 1e9)}`;
  world.onEnd(() => world.remove(`/images/${tag}?force=1`));
  if (random.isOneIn(2)) {
    const id = await world.container({ script: `echo ${word} >/word` });
    await world.start(id);
    const ownEnd = world.isOwnEnd(id, await world.exitCode(id), 0);
    await world.again(() =>
      client.ask('POST', `/commit?container=${id}&repo=${tag}`, { body: {}, on: [id] }),
    );
    if (!ownEnd) return;
  } else {
    const steps = [
      'FROM busybox',
      `RUN echo ${word} >/word`,
      'RUN true',
      'COPY Dockerfile /',
      'RUN cat /word Dockerfile',
    ];
    const body = makeTar([{ name: 'Dockerfile', data: steps.join('\n') }]);
    await world.again(async () => {
      const since = performance.now();
      // without forcerm the container of a step that failed, as its VM was killed, is kept: dockerd keeps it, too
      const path = `/build?t=${tag}&rm=1&forcerm=1`;
      const built = await client.ask('POST', path, { body, on: 'any' });
      if (built.body.includes('Successfully tagged')) return;
      throw client.explained('build', new Error(built.body.toString().slice(-600)), since, 'any');
    });
  }
  const id = await world.container({ script: 'cat /word', config: { Image: tag } });
  await world.start(id);
  if (world.isOwnEnd(id, await world.exitCode(id), 0))
    world.compare(`run of ${tag}`, (await world.logs(id)).stdout, [word], true);
}

/** Containers that find each other by name, on two networks, over restarts and disconnections. */
async function networks(world: World): Promise<void> {
  const { random, client } = world;
  const [first, second] = [await world.network(), await world.network()];
  const script = 'trap exit TERM; while :; do sleep 0.1; done';
  const [a, b] = [
    await world.container({ script, networks: [first, second] }),
    await world.container({ script, networks: [first] }),
  ];
  await world.start(a);
  await world.start(b);
  const name = (id: string): string => id.slice(0, 12);
  const reaches = async (from: string, to: string): Promise<void> => {
    if ([from, to].some((id) => client.ledger.wasKilled(id))) return;
    const since = performance.now();
    const ping = (): ReturnType<World['exec']> => world.exec(from, ['ping', '-c', '1', '-W', '60', name(to)]);
    const { stdout, stderr, code } = await world.again(ping);
    if (
      code === 0 ||
      client.ledger.disturbance(since - 5000, [from, to]) !== undefined ||
      client.ledger.wasAway(since - 5000)
    )
      return;
    world.fault(`${name(from)} does not reach ${name(to)}: ${stdout}${stderr}`);
  };
  await Promise.all([reaches(a, b), reaches(b, a)]);
  await world.post(`/networks/${second}/connect`, b, { Container: b, EndpointConfig: {} }, [403]);
  const restarted = random.of([a, b]);
  await world.post(`/containers/${restarted}/restart?t=1`, restarted);
  await Promise.all([reaches(a, b), reaches(b, a)]);
  await world.post(`/networks/${first}/disconnect`, b, { Container: b, Force: true }, [404, 500]);
  await Promise.all([reaches(a, b), reaches(b, a)]);
}

/** A policy counts: as many runs as it says, and each told of once. */
async function restarts(world: World): Promise<void> {
  const { random } = world;
  const times = random.between(1, 2);
  const id = await world.container({
    script: 'echo run; exit 3',
    hostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: times } },
  });
  const since = performance.now();
  await world.start(id);
  if (!world.isOwnEnd(id, await world.exitCode(id), 3)) return;
  const { stdout } = await world.logs(id);
  // a daemon that starts counts anew, as dockerd
  const most = world.client.ledger.wasAway(since)
    ? Math.max(times + 1, stdout.split('\n').length - 1)
    : times + 1;
  const runs = Array.from({ length: most }, () => 'run');
  world.compare(`restarts of ${id}`, stdout, runs, !world.client.ledger.wasKilled(id));
}

/** Those who only look. */
async function looks(world: World): Promise<void> {
  const { random, client } = world;
  const paths = [
    '/info',
    '/version',
    '/containers/json?all=1',
    '/containers/json?size=1',
    '/images/json',
    '/volumes',
  ];
  for (let step = 0; step < 5; step += 1) {
    await world.again(() =>
      client.ask('GET', random.of([...paths, '/networks', '/system/df', '/events?since=0&until=1'])),
    );
    await pause(random.between(0, 300));
  }
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  lines,
  journal,
  verbs,
  images,
  networks,
  restarts,
  looks,
};

/** How often each is chosen. */
export const menu = [
  'lines',
  'lines',
  'lines',
  'journal',
  'verbs',
  'verbs',
  'images',
  'networks',
  'restarts',
  'looks',
];
