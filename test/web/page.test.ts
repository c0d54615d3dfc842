// The web page in a real browser, on a daemon with containers of its own. CAISSON_SCREENSHOTS: each view's picture is kept in
// docs/screenshots.

import axe from 'axe-core';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

import type { ContainerInspect } from '../../src/docker/types';
import { useBusyboxDaemon } from '../support/labs/busybox-daemon';
import { projectDir } from '../support/process/project-dir';

jest.setTimeout(600_000);

const engine = useBusyboxDaemon('web', ['--experimental', '--web', '127.0.0.1:8090']);
const { docker } = engine;
/** Of what the page waits for: a busy host is no failure. */
const patienceMs = 120_000;
const markup = '<img src=x onerror=alert(1)>';
const sizes = { wide: [1440, 900], middle: [1024, 768], narrow: [390, 844] } as const;

let browser: Browser | undefined;
let context: BrowserContext;
let page: Page;
/** What must not happen: errors in the page, dialogs, requests to others. */
const mistakes: string[] = [];

const address = (): string => readFileSync(join(engine.dir, 'run', 'web-url'), 'utf8').trim();
const origin = 'http://127.0.0.1:8090';

function watch(watched: Page): void {
  watched.setDefaultTimeout(patienceMs);
  watched.on('pageerror', (error) => mistakes.push(`error: ${error.message}`));
  watched.on('dialog', (dialog) => mistakes.push(`dialog: ${dialog.message()}`));
  watched.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`) && !/^(blob|data):/.test(request.url()))
      mistakes.push(`request: ${request.url()}`);
  });
  watched.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) mistakes.push(`policy: ${message.text()}`);
  });
}

/** A view by its address within the page, when it has its heading and nothing loads any more. */
async function open(path: string): Promise<void> {
  await page.goto(`${origin}/#/${path}`);
  await page.locator('main h1').first().waitFor();
  await page.locator('main .loading').waitFor({ state: 'detached' });
}

async function accessibilityProblems(): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] }),
  );
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`,
  );
}

function inspect(name: string): ContainerInspect {
  const [found] = JSON.parse(docker('inspect', name)) as ContainerInspect[];
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
}

beforeAll(async () => {
  docker('volume', 'create', 'data');
  docker(
    'run',
    '--detach',
    '--name',
    'site',
    '--publish',
    '8080:80',
    '--volume',
    'data:/www',
    'busybox',
    'httpd',
    '-f',
    '-h',
    '/www',
  );
  const said = `printf 'plain\\n\\033[31mred\\033[0m\\n${markup}\\n'; sleep 1d`;
  docker(
    'run',
    '--detach',
    '--name',
    'hostile',
    '--label',
    `said=${markup}`,
    '--hostname',
    'x',
    'busybox',
    'sh',
    '-c',
    said,
  );
  docker('exec', 'hostile', 'touch', `/${markup.replace('/', '')}`);
  docker('create', '--name', 'made', 'busybox');
  const wrapper = join(engine.dir, 'browser');
  const [program = '', ...args] = engine.daemon.wrap(['/usr/bin/chromium']);
  writeFileSync(wrapper, `#!/bin/sh\nexec ${[program, ...args].join(' ')} "$@"\n`, { mode: 0o755 });
  browser = await chromium.launch({ executablePath: wrapper, args: ['--no-sandbox'], timeout: patienceMs });
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  page = await context.newPage();
  watch(page);
}, 600_000);

afterAll(async () => {
  await browser?.close();
});

afterEach(() => {
  expect(mistakes.splice(0)).toEqual([]);
});

test('its address lets one browser in, once', async () => {
  const url = address();
  await page.goto(url);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  expect(page.url()).not.toContain('token');
  const other = await context.browser()?.newContext();
  if (other === undefined) throw new Error('no browser');
  const stranger = await other.newPage();
  watch(stranger);
  await stranger.goto(url);
  await stranger.getByText('This page needs its address with a token').waitFor();
  await other.close();
});

describe('each view', () => {
  const views: Record<string, () => string> = {
    overview: () => 'overview',
    containers: () => 'containers',
    'container-logs': () => `containers/${inspect('hostile').Id}/logs`,
    'container-stats': () => `containers/${inspect('site').Id}/stats`,
    'container-processes': () => `containers/${inspect('site').Id}/processes`,
    'container-files': () => `containers/${inspect('hostile').Id}/files`,
    'container-inspect': () => `containers/${inspect('hostile').Id}/inspect`,
    run: () => 'run',
    images: () => 'images',
    image: () => `images/${encodeURIComponent(inspect('site').Image)}`,
    builds: () => 'builds',
    networks: () => 'networks',
    volumes: () => 'volumes',
    pods: () => 'pods',
    machines: () => 'vms',
    events: () => 'events',
  };

  test.each(Object.keys(views))('%s fits each width, has no fault of accessibility', async (name) => {
    const found: string[] = [];
    for (const [size, [width, height]] of Object.entries(sizes)) {
      await page.setViewportSize({ width, height });
      await open(views[name]?.() ?? '');
      const excess = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      if (excess > 0) found.push(`${size}: ${excess} pixels too wide`);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(
          ...(await accessibilityProblems()).map((problem) => `${size}, ${colorScheme}: ${problem}`),
        );
        if (process.env['CAISSON_SCREENSHOTS'] !== undefined && colorScheme === 'light')
          await picture(name, size);
      }
      await page.emulateMedia({ colorScheme: 'light' });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    expect(found).toEqual([]);
  });
});

async function picture(name: string, size: string): Promise<void> {
  const directory = join(projectDir, size === 'wide' ? 'docs/screenshots' : 'build/screenshots');
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: join(directory, size === 'wide' ? `${name}.png` : `${name}-${size}.png`) });
}

test('lists have what docker says', async () => {
  const lines = (...command: string[]): string[] =>
    docker(...command)
      .split('\n')
      .sort();
  const texts = async (selector: string): Promise<string[]> => {
    await page.locator(selector).first().waitFor();
    return (await page.locator(selector).allInnerTexts()).map((text) => text.trim()).sort();
  };
  await open('containers');
  expect(await texts('.c-name a')).toEqual(lines('ps', '--all', '--format', '{{.Names}}'));
  await open('volumes');
  expect(await page.locator('main').innerText()).toContain(lines('volume', 'ls', '--quiet').join('\n'));
  await open('networks');
  for (const network of lines('network', 'ls', '--format', '{{.Name}}'))
    expect(await page.locator('main').innerText()).toContain(network);
});

test('a log is text, with colours, and can be searched', async () => {
  await open(`containers/${inspect('hostile').Id}/logs`);
  await page.getByText(markup).waitFor();
  expect(await page.locator('main img').count()).toBe(0);
  expect(await colourOf('red')).not.toBe(await colourOf('plain'));
  await page.locator('main input[type=search]').fill('plain');
  await page.getByText(markup).waitFor({ state: 'detached' });
  await page.getByText('plain', { exact: true }).waitFor();
});

function colourOf(text: string): Promise<string> {
  interface Window {
    getComputedStyle(element: unknown): { color: string };
  }
  return page
    .getByText(text, { exact: true })
    .evaluate((element) => (globalThis as unknown as Window).getComputedStyle(element).color);
}

test('what is typed into a terminal gets there', async () => {
  await open(`containers/${inspect('site').Id}/terminal`);
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  const rows = page.locator('.xterm-rows');
  await rows.getByText('/ #').first().waitFor();
  await page.keyboard.type('echo typed-$((40+2)); stty size\n');
  await rows.getByText('typed-42').waitFor();
  await rows.getByText(/^\d+ \d+$/).waitFor();
  const [height = 0, width = 0] = (await rows.getByText(/^\d+ \d+$/).innerText()).split(' ').map(Number);
  expect(height).toBeGreaterThan(20);
  expect(width).toBeGreaterThan(100);
  await page.keyboard.type('exit\n');
  await page.getByText('It ended with 0.').waitFor();
});

test('a container is run by the form, as docker run would', async () => {
  await open('run');
  await page.getByLabel(/^Image/).fill('busybox');
  await page.getByLabel(/^Name/).fill('formed');
  await page.getByLabel(/^Command/).fill('httpd -f -h /www');
  await page.getByRole('button', { name: 'Publish a port' }).click();
  await page.getByLabel('Ports 1').fill('8081:80');
  await page.getByRole('button', { name: 'Mount a volume' }).click();
  await page.getByLabel('Volumes 1').fill('formed:/www');
  expect(await page.locator('.run-line code').innerText()).toBe(
    'docker run -d --name formed -p 8081:80 -v formed:/www busybox httpd -f -h /www',
  );
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { name: 'formed' }).waitFor();
  const { State, HostConfig, Config } = inspect('formed');
  expect(State.Running).toBe(true);
  expect(HostConfig.Binds).toEqual(['formed:/www']);
  expect(HostConfig.PortBindings).toEqual({ '80/tcp': [{ HostIp: '', HostPort: '8081' }] });
  expect(Config.Cmd).toEqual(['httpd', '-f', '-h', '/www']);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('button', { name: 'Start', exact: true }).waitFor();
  expect(inspect('formed').State.Running).toBe(false);
});

test('it says when the daemon is away, and goes on when it is back', async () => {
  await open('containers');
  await engine.daemon.kill9();
  await page.getByText('The daemon does not answer').waitFor();
  await engine.daemon.start();
  await page.getByText('The daemon does not answer').waitFor({ state: 'detached' });
  docker('rename', 'made', 'renamed');
  await page.getByText('renamed').waitFor();
});

test('for looking only, nothing is changed', async () => {
  await engine.daemon.kill9();
  await engine.daemon.start(undefined, ['--web-read-only']);
  await open('containers');
  await page.getByText('for looking only').waitFor();
  expect(await page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true);
  const status = await page.evaluate(async () => {
    const area = performance
      .getEntriesByType('resource')
      .map(({ name }) => /\/api\/[^/]+/.exec(name)?.[0])
      .find(Boolean);
    const response = await fetch(`${area ?? ''}/v1.41/containers/prune`, { method: 'POST' });
    return response.status;
  });
  expect(status).toBe(403);
});
