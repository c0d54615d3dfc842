// What each view says is what there is: the picture, logs by time, attachments, layers, drawings, sizes, machines, events; by docker's
// word wherever docker has one.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Locator } from 'playwright-core';

import type { VmSummary } from '../../src/api/v1/types';
import type { Finding } from '../../src/cli/doctor-report';
import { enter, origin, usePage } from '../support/labs/page-lab';
import { projectDir } from '../support/process/project-dir';

jest.setTimeout(600_000);

const lab = usePage('web-views', [], ({ docker }) => {
  docker('network', 'create', 'backend');
  const pod = ['--label', 'caisson.pod=duo'];
  docker('run', '--detach', '--name', 'one', ...pod, 'busybox', 'sleep', '1d');
  docker('run', '--detach', '--name', 'two', ...pod, 'busybox', 'sleep', '1d');
  const health = ['--health-cmd', 'echo probed; test -d /www', '--health-interval', '1s'];
  const options = ['--publish', '8080:80', '--volume', 'data:/www', '--network', 'backend', '--env', 'A=b c'];
  const server = 'echo 12345678 > /www/index.html; httpd -f -h /www';
  docker('run', '--detach', '--name', 'site', ...health, ...options, 'busybox', 'sh', '-c', server);
  docker('run', '--detach', '--name', 'still', 'busybox', 'sleep', '1d');
  docker('pause', 'still');
});
const { docker, inspect, open } = lab;

beforeAll(() => enter(lab), 120_000);

const textOf = async (selector: string): Promise<string> =>
  (await lab.page.locator(selector).first().innerText()).replace(/\s+/g, ' ').trim();
const colourOf = (element: Locator): Promise<string> =>
  element.evaluate(
    (found) =>
      (
        globalThis as unknown as { getComputedStyle: (element: unknown) => { color: string } }
      ).getComputedStyle(found).color,
  );
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

test('the picture has each container in its machine, by its state, and memory as area', async () => {
  const { page } = lab;
  await open('overview');
  // the machine's memory comes with the first sample
  await page.locator('.machine-name', { hasText: /duo\s*[\d.]+ MiB/ }).waitFor();
  await page.locator('.machine-name', { hasText: 'MiB' }).nth(2).waitFor();
  const duo = page.locator('.machine', { hasText: 'duo' });
  expect(await duo.locator('.inmate.state-running').count()).toBe(2);
  expect(await duo.locator('.inmate').allInnerTexts()).toEqual(
    expect.arrayContaining([expect.stringContaining('one'), expect.stringContaining('two')]),
  );
  expect(await page.locator('.inmate.state-paused').innerText()).toContain('still');
  expect(await page.locator('.inmate').count()).toBe(lines(docker('ps', '--quiet')).length);
  const places = await page.locator('.machine-place').all();
  const found = await Promise.all(
    places.map(async (place) => {
      const { width = 0, height = 0 } = (await place.boundingBox()) ?? {};
      const memory = Number(/([\d.]+) MiB/.exec(await place.innerText())?.[1]);
      return { area: width * height, memory };
    }),
  );
  const sum = (of: 'area' | 'memory'): number => found.reduce((total, place) => total + place[of], 0);
  for (const { area, memory } of found) expect(area / sum('area')).toBeCloseTo(memory / sum('memory'), 1);
  // the daemon keeps the last day, too
  await page.getByRole('button', { name: 'Last day' }).click();
  await page.getByRole('button', { name: 'Last day', pressed: true }).waitFor();
});

test('what is wrong is what caisson doctor says', async () => {
  const program = join(projectDir, 'bin', 'caisson');
  const { dir, wrap } = lab;
  const places = ['--data-root', join(dir, 'data'), '--run-dir', join(dir, 'run'), '--accel', 'tcg'];
  const [command = '', ...args] = wrap([program, 'doctor', '--format', 'json', ...places]);
  const findings = JSON.parse(execFileSync(command, args, { encoding: 'utf8' })) as Finding[];
  await open('overview');
  const list = lab.page.locator('.findings');
  await list.getByText(/\d+ fine/).waitFor();
  for (const { level, subject } of findings)
    if (level === 'warn') await list.getByText(subject, { exact: true }).first().waitFor();
});

test('a log by time, and downloaded', async () => {
  const { page } = lab;
  docker(
    'run',
    '--detach',
    '--name',
    'slow',
    'busybox',
    'sh',
    '-c',
    'echo early; sleep 3; echo late; sleep 1d',
  );
  await open(`containers/${inspect('slow').Id}/logs`);
  await page.locator('.log').getByText('late', { exact: true }).waitFor();
  const said = docker('logs', '--timestamps', 'slow');
  const early = Date.parse(/^(\S+) early/m.exec(said)?.[1] ?? '');
  const between = new Date(early + 2000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  await page.getByLabel('From', { exact: true }).fill(between);
  await page.locator('.log').getByText('early', { exact: true }).waitFor({ state: 'detached' });
  expect(await textOf('.log-foot')).toContain('1 of 2 lines');
  await page.getByLabel('From', { exact: true }).fill('');
  await page.getByLabel('To', { exact: true }).fill(between);
  await page.locator('.log').getByText('early', { exact: true }).waitFor();
  await page.locator('.log').getByText('late', { exact: true }).waitFor({ state: 'detached' });
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download' }).click(),
  ]);
  expect(saved.suggestedFilename()).toBe('slow.log');
  expect(lines(readFileSync(await saved.path(), 'utf8'))).toEqual(lines(said));
  docker('rm', '--force', 'slow');
});

test('attached to a container’s own terminal: sizes, copy and paste', async () => {
  const { page } = lab;
  docker('run', '--detach', '--interactive', '--tty', '--name', 'shell', 'busybox', 'sh');
  await open(`containers/${inspect('shell').Id}/terminal`);
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  const rows = page.locator('.xterm-rows');
  await rows.getByText('/ #').first().waitFor();
  await page.keyboard.type('echo typed-$((40+2)); stty size\n');
  await rows.getByText('typed-42').waitFor();
  const before = await rows.getByText(/^\d+ \d+$/).innerText();
  await page.setViewportSize({ width: 1024, height: 600 });
  await page.keyboard.type(
    'until [ "$(stty size)" != "$a" ]; do :; done; clear; stty size\n'.replace('$a', before),
  );
  await rows.getByText('typed-42').waitFor({ state: 'detached' });
  const after = await rows.getByText(/^\d+ \d+$/).innerText();
  const [height = 0, width = 0] = before.split(' ').map(Number);
  const [nowHeight = 0, nowWidth = 0] = after.split(' ').map(Number);
  expect(nowHeight).toBeLessThan(height);
  expect(nowWidth).toBeLessThan(width);
  await page.keyboard.type("printf '\\033[38;2;200;100;50mdeep\\033[0m\\n'\n");
  await expect(colourOf(rows.getByText('deep', { exact: true }))).resolves.toBe('rgb(200, 100, 50)');
  await page.keyboard.type('echo word-$((1+1))\n');
  // the terminal takes the mouse itself, above its text
  const { x, y } = (await rows.getByText('word-2', { exact: true }).boundingBox()) ?? { x: 0, y: 0 };
  await page.mouse.dblclick(x + 8, y + 8);
  await page.keyboard.press('Control+Shift+C');
  await page.waitForFunction('navigator.clipboard.readText().then((text) => /^word/.test(text))');
  await page.evaluate("navigator.clipboard.writeText('echo pasted-$((2+3))')");
  await page.keyboard.press('Control+Shift+V');
  await page.keyboard.press('Enter');
  await rows.getByText('pasted-5').waitFor();
  await page.setViewportSize({ width: 1440, height: 900 });
  docker('rm', '--force', 'shell');
});

test('health, a restart, and inspect as the docker run that makes the same', async () => {
  const { page } = lab;
  const { Id, State } = inspect('site');
  await open(`containers/${Id}/health`);
  await page.locator('.timeline li', { hasText: 'probed' }).first().waitFor();
  await page.locator('.head, header').getByText('healthy', { exact: true }).first().waitFor();
  await page.getByRole('button', { name: 'Restart' }).click();
  await page.getByText('site is restarted.').waitFor();
  expect(inspect('site').State.StartedAt).not.toBe(State.StartedAt);
  await open(`containers/${Id}/inspect`);
  await page.getByRole('button', { name: 'Copy as docker run' }).click();
  await page.getByText('Copied.').waitFor();
  const line = await page.evaluate<string>('navigator.clipboard.readText()');
  expect(line).toMatch(/^docker run .*--name site /);
  const made = line.replace('--name site', '--name again').replace('8080:80', '8081:80');
  execFileSync('sh', ['-c', made.replace(/^docker run( -d)?/, `docker --host ${lab.daemon.host} run -d`)]);
  const { Config, HostConfig, NetworkSettings } = inspect('again');
  const first = inspect('site');
  expect({ ...Config, Hostname: '' }).toEqual({ ...first.Config, Hostname: '' });
  expect(HostConfig.Binds).toEqual(first.HostConfig.Binds);
  expect(Object.keys(NetworkSettings.Networks)).toEqual(['backend']);
  docker('rm', '--force', 'again');
});

test('an image: layers, history, who uses it; those without a name are pruned', async () => {
  const { page } = lab;
  docker('run', '--name', 'author', 'busybox', 'sh', '-c', 'echo one > /one');
  docker('commit', '--message', 'mine', '--change', 'CMD ["one"]', 'author', 'team/one:1');
  const image = docker('images', '--quiet', '--no-trunc', 'team/one:1');
  await open(`images/${encodeURIComponent(image)}`);
  await page.locator('.layers li').first().waitFor();
  const history = lines(docker('history', '--format', '{{.Size}}', 'team/one:1')).reverse();
  const sizes = (await page.locator('.layers .right').allInnerTexts()).map((size) => size.replace(' ', ''));
  expect(sizes.map((size) => (size === '–' ? '0B' : size))).toEqual(history);
  await open(`images/${encodeURIComponent(inspect('site').Image)}`);
  await page.locator('.list').getByRole('link', { name: 'site' }).waitFor();
  docker('commit', 'author', 'team/one:1');
  await open('images');
  await page.getByRole('button', { name: 'Prune' }).click();
  await page.getByRole('button', { name: 'Remove them' }).click();
  await page.getByText('Unused images are removed.').waitFor();
  expect(docker('images', '--quiet', '--filter', 'dangling=true')).toBe('');
  // there is no registry here: the dialog says so, and stays
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('dialog').getByLabel('Name of an image').fill('busybox');
  await page.getByRole('dialog').getByRole('button', { name: 'Search' }).click();
  await page.getByRole('dialog').getByRole('alert').waitFor();
  docker('rm', 'author');
});

test('a container run by the form has its environment, limits and network, and the image’s name is completed', async () => {
  const { page } = lab;
  await open('run');
  const names = await page
    .locator('#image-names option')
    .evaluateAll((options) => options.map((option) => (option as unknown as { value: string }).value));
  expect(names).toContain('busybox:latest');
  await page.getByLabel(/^Image/).fill('busybox');
  await page.getByLabel(/^Name/).fill('limited');
  await page.getByLabel(/^Command/).fill('sleep 1000');
  await page.getByLabel(/^Network/).selectOption('backend');
  await page.getByRole('button', { name: 'Set a variable' }).click();
  await page.getByLabel('Environment 1').fill('GREETING=good day');
  await page.getByLabel(/^Memory/).fill('64m');
  await page.getByLabel(/^CPUs/).fill('0.5');
  await page.getByLabel(/^When it ends/).selectOption('always');
  expect(await textOf('.run-line code')).toBe(
    "docker run -d --name limited --network backend -e 'GREETING=good day' --memory 64m --cpus 0.5 --restart always busybox sleep 1000",
  );
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { name: 'limited' }).waitFor();
  const { Config, HostConfig } = inspect('limited');
  expect(Config.Env).toContain('GREETING=good day');
  expect([HostConfig.Memory, HostConfig.NanoCpus]).toEqual([64 * 2 ** 20, 5e8]);
  expect([HostConfig.NetworkMode, HostConfig.RestartPolicy?.Name]).toEqual(['backend', 'always']);
  docker('rm', '--force', 'limited');
});

test('a page that nobody looks at keeps no connection, and goes on with a log where it was', async () => {
  const page = await lab.context.newPage();
  lab.watch(page);
  const open = new Set<string>();
  page.on('request', (request) => open.add(request.url()));
  page.on('requestfinished', (request) => open.delete(request.url()));
  page.on('requestfailed', (request) => open.delete(request.url()));
  const streams = (): string[] => [...open].filter((url) => /\/(?:events|logs|stats)\b/.test(url));
  docker('run', '--detach', '--name', 'seen', 'busybox', 'sh', '-c', 'echo before; sleep 1d');
  await page.goto(`${origin}/#/containers/${inspect('seen').Id}/logs`);
  const log = page.locator('.log .line');
  await log.getByText('before', { exact: true }).waitFor();
  expect(streams()).toHaveLength(2);
  // as a browser tells it
  const look = (isHidden: boolean): Promise<unknown> =>
    page.evaluate((hidden) => {
      const { document, Event } = globalThis as unknown as {
        document: { dispatchEvent: (event: object) => void };
        Event: new (name: string) => object;
      };
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
  const ended = ['/logs', '/events'].map((path) =>
    page.waitForEvent('requestfailed', (request) => request.url().includes(path)),
  );
  await look(true);
  await Promise.all(ended);
  expect(streams()).toEqual([]);
  docker('exec', 'seen', 'sh', '-c', 'echo meanwhile > /proc/1/fd/1');
  await look(false);
  await log.getByText('meanwhile', { exact: true }).waitFor();
  expect(await log.allInnerTexts()).toEqual(['before', 'meanwhile']);
  await page.close();
  docker('rm', '--force', 'seen');
});

test('a slow answer is waited for, instead of being asked for again', async () => {
  const page = await lab.context.newPage();
  lab.watch(page);
  await page.clock.install();
  let asked = 0;
  const released = new Promise<() => void>((resolve) => {
    void page.route('**/top', (route) => {
      asked += 1;
      resolve(() => void route.continue());
    });
  });
  await page.goto(`${origin}/#/containers/${inspect('one').Id}/processes`);
  const release = await released;
  await page.clock.runFor(60_000);
  expect(asked).toBe(1);
  release();
  await page.locator('tbody tr').first().waitFor();
  await page.close();
});

test('networks are drawn with containers and published ports', async () => {
  const { page } = lab;
  await open('networks');
  const drawing = page.locator('.drawing svg');
  await drawing.getByText('backend').waitFor();
  await drawing.getByText('bridge', { exact: true }).waitFor();
  await drawing.locator('.is-port', { hasText: '8080' }).waitFor();
  await drawing.getByRole('link', { name: /container site/ }).waitFor();
  // from the port to its container, and from each container to its network
  expect(await drawing.locator('.edge').count()).toBe(1 + 4);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('apart');
  await page.getByRole('dialog').getByLabel('Subnet').fill('10.77.0.0/24');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.locator('.cards').getByText('10.77.0.0/24').waitFor();
  // who joins one from elsewhere is drawn at once
  docker('network', 'connect', 'apart', 'site');
  await drawing.locator('.edge').nth(5).waitFor();
  docker('network', 'disconnect', 'apart', 'site');
  await drawing.locator('.edge').nth(5).waitFor({ state: 'detached' });
  expect(docker('network', 'inspect', '--format', '{{(index .IPAM.Config 0).Subnet}}', 'apart')).toBe(
    '10.77.0.0/24',
  );
});

test('volumes have their size, and who has them', async () => {
  const { page } = lab;
  await open('volumes');
  const card = page.locator('.card', { hasText: 'data' });
  const size = lines(
    docker('system', 'df', '--verbose', '--format', '{{range .Volumes}}{{.Name}} {{.Size}}\n{{end}}'),
  )
    .find((line) => line.startsWith('data '))
    ?.split(' ')[1];
  await card.getByText(size?.replace(/(\d)([a-zA-Z])/, '$1 $2') ?? 'no size').waitFor();
  await card.getByRole('link', { name: 'site' }).waitFor();
  await card.getByText('/www').waitFor();
});

test('machines: the template, what each gave back, its console', async () => {
  const { page } = lab;
  await open('vms');
  expect(await textOf('.numbers')).toMatch(/Template ready to be cloned/);
  const id = await page.locator('.card.item', { hasText: 'duo' }).getByRole('link').innerText();
  await page.getByRole('link', { name: id }).click();
  await page.getByText('were given back').waitFor();
  await page.getByRole('heading', { name: 'Serial console' }).waitFor();
  await page.locator('.list').getByRole('link', { name: 'two' }).waitFor();
});

test('machines that wait: how many, which, and their end', async () => {
  const { page } = lab;
  const socket = lab.daemon.host.replace('unix://', '');
  const args = ['--silent', '--unix-socket', socket, '--json', '{}', 'http://engine/v1/vms'];
  const { id } = JSON.parse(execFileSync('curl', args, { encoding: 'utf8' })) as VmSummary;
  await open('vms');
  await page.locator('.numbers', { hasText: /Idle\s*1 pool of 0, 1 kept/ }).waitFor();
  const card = page.locator('.card.item', { hasText: id });
  await card.getByText('waits for a Pod').waitFor();
  await card.getByRole('link').click();
  await page.locator('.head').getByText('kept', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await page.getByRole('heading', { name: 'Machines' }).waitFor();
  await card.waitFor({ state: 'detached' });
});

test('events are a time line, and come as they happen', async () => {
  const { page } = lab;
  await open('events');
  await page
    .locator('.strip')
    .getByRole('img', { name: /\d+ events over time/ })
    .waitFor();
  await page.locator('main input[type=search]').fill('brief');
  lab.refusal('run', '--rm', '--name', 'brief', 'busybox', 'sh', '-c', 'exit 3');
  await page.getByText('exit 3').waitFor();
  await page.getByLabel('Kind').selectOption('image');
  await page.getByText('exit 3').waitFor({ state: 'detached' });
});
