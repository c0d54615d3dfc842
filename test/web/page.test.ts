// The web page in a real browser, on a daemon with containers of its own. CAISSON_SCREENSHOTS: each view's picture is kept in
// docs/screenshots.

import axe from 'axe-core';
import { execFileSync } from 'node:child_process';

import type { VmSummary } from '../../src/api/v1/types';
import { enter, usePage } from '../support/labs/page-lab';

jest.setTimeout(600_000);

const markup = '<img src=x onerror=alert(1)>';
const sizes = { wide: [1440, 900], middle: [1024, 768], narrow: [390, 844] } as const;

const lab = usePage('web', [], ({ docker }) => {
  docker('volume', 'create', 'data');
  const server = ['busybox', 'httpd', '-f', '-h', '/www'];
  const health = ['--health-cmd', 'test -d /www', '--health-interval', '2s'];
  docker(
    'run',
    '--detach',
    '--name',
    'site',
    '--publish',
    '8080:80',
    ...health,
    '--volume',
    'data:/www',
    ...server,
  );
  const said = `printf 'plain\\n\\033[31mred\\033[0m\\n${markup}\\n'; sleep 1d`;
  const label = ['--label', `said=${markup}`];
  docker('run', '--detach', '--name', 'hostile', ...label, '--hostname', 'x', 'busybox', 'sh', '-c', said);
  docker('exec', 'hostile', 'touch', `/${markup.replace('/', '')}`);
  docker('create', '--name', 'made', 'busybox');
  const shop = ['run', '--detach', '--label', 'caisson.pod=shop', '--memory', '64m'];
  docker(...shop, '--name', 'till', 'busybox', 'sleep', '1d');
  docker(...shop, '--name', 'store', 'busybox', 'sleep', '1d');
  docker('network', 'create', 'backend');
  docker(
    'run',
    '--detach',
    '--name',
    'worker',
    '--network',
    'backend',
    '--memory',
    '128m',
    'busybox',
    'sleep',
    '1d',
  );
});
const { docker, inspect, open } = lab;

async function accessibilityProblems(): Promise<string[]> {
  await lab.page.evaluate(axe.source);
  const { violations } = await lab.page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] }),
  );
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`,
  );
}

test('its address lets one browser in, once', async () => {
  const url = lab.address();
  await enter(lab);
  expect(lab.page.url()).not.toContain('token');
  const other = await lab.context.browser()?.newContext();
  if (other === undefined) throw new Error('no browser');
  const stranger = await other.newPage();
  lab.watch(stranger);
  await stranger.goto(url);
  await stranger.getByText('This page needs its address with a token').waitFor();
  await other.close();
});

function machineOf(name: string): string {
  const args = ['--silent', '--unix-socket', lab.daemon.host.replace('unix://', '')];
  const vms = JSON.parse(
    execFileSync('curl', [...args, 'http://engine/v1/vms'], { encoding: 'utf8' }),
  ) as VmSummary[];
  return vms.find(({ podName }) => podName === name)?.id ?? '';
}

describe('each view', () => {
  const views: Record<string, () => string> = {
    containers: () => 'containers',
    'container-logs': () => `containers/${inspect('hostile').Id}/logs`,
    'container-processes': () => `containers/${inspect('site').Id}/processes`,
    'container-files': () => `containers/${inspect('hostile').Id}/files`,
    'container-health': () => `containers/${inspect('site').Id}/health`,
    'container-terminal': () => `containers/${inspect('site').Id}/terminal`,
    'container-checkpoints': () => `containers/${inspect('site').Id}/checkpoints`,
    'container-inspect': () => `containers/${inspect('hostile').Id}/inspect`,
    run: () => 'run',
    images: () => 'images',
    image: () => `images/${encodeURIComponent(inspect('site').Image)}`,
    builds: () => 'builds',
    networks: () => 'networks',
    volumes: () => 'volumes',
    pods: () => 'pods',
    machines: () => 'vms',
    machine: () => `vms/${machineOf('site')}`,
    events: () => 'events',
    // last, when their plots have something to show
    'container-stats': () => `containers/${inspect('site').Id}/stats`,
    overview: () => 'overview',
  };

  test.each(Object.keys(views))('%s fits each width, has no fault of accessibility', async (name) => {
    const found: string[] = [];
    for (const [size, [width, height]] of Object.entries(sizes)) {
      await lab.page.setViewportSize({ width, height });
      await open(views[name]?.() ?? '');
      const excess = await lab.page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      if (excess > 0) found.push(`${size}: ${excess} pixels too wide`);
      for (const colorScheme of ['light', 'dark'] as const) {
        await lab.page.emulateMedia({ colorScheme });
        found.push(
          ...(await accessibilityProblems()).map((problem) => `${size}, ${colorScheme}: ${problem}`),
        );
        // those of docs are of a wide window in the light; the others are to be looked at
        await lab.picture(
          size === 'wide' && colorScheme === 'light' ? name : `${name}-${size}-${colorScheme}`,
        );
      }
      await lab.page.emulateMedia({ colorScheme: 'light' });
    }
    await lab.page.setViewportSize({ width: 1440, height: 900 });
    expect(found).toEqual([]);
  });
});

test('lists have what docker says', async () => {
  const lines = (...command: string[]): string[] =>
    docker(...command)
      .split('\n')
      .sort();
  const texts = async (selector: string): Promise<string[]> => {
    await lab.page.locator(selector).first().waitFor();
    return (await lab.page.locator(selector).allInnerTexts()).map((text) => text.trim()).sort();
  };
  await open('containers');
  expect(await texts('.c-name a')).toEqual(lines('ps', '--all', '--format', '{{.Names}}'));
  await open('volumes');
  expect(await lab.page.locator('main').innerText()).toContain(lines('volume', 'ls', '--quiet').join('\n'));
  await open('networks');
  for (const network of lines('network', 'ls', '--format', '{{.Name}}'))
    expect(await lab.page.locator('main').innerText()).toContain(network);
});

test('a log is text, with colours, and can be searched', async () => {
  await open(`containers/${inspect('hostile').Id}/logs`);
  await lab.page.getByText(markup).waitFor();
  expect(await lab.page.locator('main img').count()).toBe(0);
  expect(await colourOf('red')).not.toBe(await colourOf('plain'));
  await lab.page.locator('main input[type=search]').fill('plain');
  await lab.page.getByText(markup).waitFor({ state: 'detached' });
  await lab.page.getByText('plain', { exact: true }).waitFor();
});

function colourOf(text: string): Promise<string> {
  interface Window {
    getComputedStyle(element: unknown): { color: string };
  }
  return lab.page
    .getByText(text, { exact: true })
    .evaluate((element) => (globalThis as unknown as Window).getComputedStyle(element).color);
}

test('what is typed into a terminal gets there', async () => {
  await open(`containers/${inspect('site').Id}/terminal`);
  await lab.page.getByRole('button', { name: 'Open', exact: true }).click();
  const rows = lab.page.locator('.xterm-rows');
  await rows.getByText('/ #').first().waitFor();
  await lab.page.keyboard.type('echo typed-$((40+2)); stty size\n');
  await rows.getByText('typed-42').waitFor();
  await rows.getByText(/^\d+ \d+$/).waitFor();
  const [height = 0, width = 0] = (await rows.getByText(/^\d+ \d+$/).innerText()).split(' ').map(Number);
  expect(height).toBeGreaterThan(20);
  expect(width).toBeGreaterThan(100);
  await lab.page.keyboard.type('exit\n');
  await lab.page.getByText('It ended with 0.').waitFor();
});

test('a container is run by the form, as docker run would', async () => {
  await open('run');
  await lab.page.getByLabel(/^Image/).fill('busybox');
  await lab.page.getByLabel(/^Name/).fill('formed');
  await lab.page.getByLabel(/^Command/).fill('httpd -f -h /www');
  await lab.page.getByRole('button', { name: 'Publish a port' }).click();
  await lab.page.getByLabel('Ports 1').fill('8081:80');
  await lab.page.getByRole('button', { name: 'Mount a volume' }).click();
  await lab.page.getByLabel('Volumes 1').fill('formed:/www');
  expect(await lab.page.locator('.run-line code').innerText()).toBe(
    'docker run -d --name formed -p 8081:80 -v formed:/www busybox httpd -f -h /www',
  );
  await lab.page.getByRole('button', { name: 'Run', exact: true }).click();
  await lab.page.getByRole('heading', { name: 'formed' }).waitFor();
  const { State, HostConfig, Config } = inspect('formed');
  expect(State.Running).toBe(true);
  expect(HostConfig.Binds).toEqual(['formed:/www']);
  expect(HostConfig.PortBindings).toEqual({ '80/tcp': [{ HostIp: '', HostPort: '8081' }] });
  expect(Config.Cmd).toEqual(['httpd', '-f', '-h', '/www']);
  await lab.page.getByRole('button', { name: 'Stop', exact: true }).click();
  await lab.page.getByRole('button', { name: 'Start', exact: true }).waitFor();
  expect(inspect('formed').State.Running).toBe(false);
});

test('it says when the daemon is away, and goes on when it is back', async () => {
  await open(`containers/${inspect('hostile').Id}/logs`);
  const log = lab.page.locator('.log');
  await log.getByText('plain', { exact: true }).waitFor();
  await lab.daemon.kill9();
  await lab.page.getByText('The daemon does not answer').waitFor();
  // what was told stays, and nothing of it is told again
  expect(await log.locator('.line').count()).toBe(3);
  await lab.daemon.start();
  await lab.page.getByText('The daemon does not answer').waitFor({ state: 'detached' });
  docker('exec', 'hostile', 'sh', '-c', 'echo afterwards > /proc/1/fd/1');
  await log.getByText('afterwards', { exact: true }).waitFor();
  expect(await log.locator('.line').allInnerTexts()).toEqual(['plain', 'red', markup, 'afterwards']);
  expect(await lab.page.locator('.log-foot').innerText()).toBe('4 lines');
  await open('containers');
  docker('rename', 'made', 'renamed');
  await lab.page.getByText('renamed').waitFor();
});

test('for looking only, nothing is changed', async () => {
  await lab.daemon.kill9();
  await lab.daemon.start(undefined, ['--web-read-only']);
  await open('containers');
  await lab.page.getByText('for looking only').waitFor();
  expect(await lab.page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true);
  const status = await lab.page.evaluate(async () => {
    const area = performance
      .getEntriesByType('resource')
      .map(({ name }) => /\/api\/[^/]+/.exec(name)?.[0])
      .find(Boolean);
    const response = await fetch(`${area ?? ''}/v1.41/containers/prune`, { method: 'POST' });
    return response.status;
  });
  expect(status).toBe(403);
});

test('who leaves is let in by a new address alone', async () => {
  await lab.page.getByRole('button', { name: /^Leave/ }).click();
  await lab.page.getByText('This page needs its address with a token').waitFor();
  await lab.page.goto(`${lab.page.url()}#/images`);
  await lab.page.getByText('This page needs its address with a token').waitFor();
  await lab.page.goto(lab.address());
  await lab.page.locator('main h1').first().waitFor();
  await lab.page.getByText('for looking only').waitFor();
});
