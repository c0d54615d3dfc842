// Many containers at once, and a daemon that is killed at any moment: what was answered is there, each command has run once, and all of it goes.

import { sendHttp } from '../support/wire/http-client';
import { startOneDaemon } from './harness/one-daemon';
import { TestCluster } from './harness/test-cluster';

jest.setTimeout(600_000);

const one = startOneDaemon('crowd');
const { docker, image, namespace } = one;
const cluster = TestCluster.current();

/** Of containers with this label. */
async function ids(label: string): Promise<string[]> {
  const text = await docker('ps', '--all', '--quiet', '--no-trunc', '--filter', `label=${label}`);
  return text.split('\n').filter((line) => line !== '');
}

/** Undefined where the daemon was killed before it answered. */
async function create(name: string, label: string, script: string): Promise<string | undefined> {
  const body = { Image: image, Cmd: ['sh', '-c', script], Labels: { [label]: '' } };
  try {
    const path = `/v1.41/containers/create?name=${name}`;
    const answer = await sendHttp(one.daemon.host, { method: 'POST', path, body });
    if (answer.status !== 201) throw new Error(answer.body);
    return (JSON.parse(answer.body) as { Id: string }).Id;
  } catch (error) {
    if (one.daemon.isRunning) throw error;
    return undefined;
  }
}

/** But for the two Pods with which the daemon tries whether the network keeps policies. */
function objects(): string[] {
  const kinds = 'containers.caisson.io,execs.caisson.io,pods,persistentvolumeclaims,secrets';
  const names = cluster.kubectl('get', kinds, '-n', namespace, '-o', 'name').split('\n');
  return names.filter((name) => name !== '' && !name.startsWith('pod/probe-'));
}

it('200 containers are made, listed and removed', async () => {
  const made: (string | undefined)[] = [];
  const next = Array.from({ length: 200 }, (_, index) => index);
  const worker = async (): Promise<void> => {
    for (let index = next.pop(); index !== undefined; index = next.pop())
      made.push(await create(`many${index}`, 'many', 'true'));
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  expect((await ids('many')).sort()).toEqual(made.sort());
  await docker('container', 'prune', '--force', '--filter', 'label=many');
  expect(await ids('many')).toEqual([]);
  expect(objects()).toEqual([]);
});

it('a daemon that is killed while it makes and starts containers loses none, and starts none twice', async () => {
  const made = new Set<string>();
  for (let kill = 0; kill < 3; kill++) {
    let left = 4;
    let enough: () => void = () => undefined;
    const some = new Promise<void>((resolve) => (enough = resolve));
    const working = Array.from({ length: 6 }, async (_, index) => {
      const id = await create(`crowd${kill}-${index}`, 'crowd', 'echo once; sleep 1; exit 3');
      if (id === undefined) return;
      made.add(id);
      if (--left === 0) enough();
      await docker('start', id).catch((error: unknown) => {
        if (one.daemon.isRunning) throw error;
      });
    });
    await some;
    await one.daemon.kill9();
    await Promise.all(working);
    await one.daemon.start();
  }
  expect(await ids('crowd')).toEqual(expect.arrayContaining([...made]));
  const all = await ids('crowd');
  await Promise.all(all.map((id) => docker('start', id)));
  expect(await docker('wait', ...all)).toBe(all.map(() => '3').join('\n'));
  for (const id of all) {
    const lines = await docker('logs', id);
    // one that had ended before it was started above has run twice by right
    expect(['once', 'once\nonce']).toContain(lines);
  }
  await docker('rm', '--force', ...all);
  expect(objects().filter((name) => !name.startsWith('pod/'))).toEqual([]);
});
