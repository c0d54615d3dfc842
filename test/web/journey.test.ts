// A new user's way through the page: an image loaded, a container run by the form with a port and a volume, its plots and its log
// watched, a terminal opened; and every number on the way is docker's. `npm run test:packages` has it run on what a package installed.

import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';

import { enter, usePage } from '../support/labs/page-lab';

jest.setTimeout(600_000);

const lab = usePage('web-journey');
const { docker, inspect, open } = lab;

/** As the page writes it, with a space before the unit. */
const spaced = (text: string): string => text.replace(/(\d)([a-zA-Z%])/g, '$1 $2');

beforeAll(() => enter(lab), 120_000);

/** Numbers change while one looks: docker is asked again until the page has what it says. */
async function isShown(asked: () => string[]): Promise<void> {
  const tries = 10;
  for (let left = tries; left > 0; left -= 1) {
    const parts = asked().map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ /g, '\\s*'));
    const numbers = lab.page.locator('.numbers', { hasText: new RegExp(parts.join('[^]*')) });
    try {
      await numbers.waitFor({ timeout: 10_000 });
      return;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

async function textOf(selector: string): Promise<string> {
  return (await lab.page.locator(selector).first().innerText()).replace(/\s+/g, ' ').trim();
}

test('an image is loaded, with how much of it has gone to the daemon', async () => {
  const { page, dir } = lab;
  docker('rmi', 'busybox');
  await open('images');
  await page.getByRole('heading', { name: 'No images yet' }).waitFor();
  await page.getByRole('button', { name: 'Load', exact: true }).click();
  const archive = join(dir, 'busybox.tar');
  await page.getByLabel('Archive of docker save').setInputFiles(archive);
  const dialog = page.getByRole('dialog');
  const seen = dialog.locator('.sent').innerText();
  await dialog.getByRole('button', { name: 'Load', exact: true }).click();
  expect(await seen).toContain('MB');
  expect(statSync(archive).size).toBeGreaterThan(1e6);
  await page.getByRole('link', { name: 'busybox:latest' }).waitFor();
  const size = docker('images', '--format', '{{.Size}}', 'busybox');
  expect(await textOf('.rows .row .c-size')).toBe(spaced(size));
});

test('a container with a port and a volume is run by the form', async () => {
  const { page } = lab;
  await page.getByRole('link', { name: 'busybox:latest' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { name: 'Run a container' }).waitFor();
  expect(await page.getByLabel(/^Image/).inputValue()).toBe('busybox:latest');
  await page.getByLabel(/^Name/).fill('shop');
  await page.getByLabel(/^Command/).fill('sh -c "echo open; echo hello > /www/index.html; httpd -f -h /www"');
  await page.getByRole('button', { name: 'Publish a port' }).click();
  await page.getByLabel('Ports 1').fill('8085:80');
  await page.getByRole('button', { name: 'Mount a volume' }).click();
  await page.getByLabel('Volumes 1').fill('goods:/www');
  await page.getByLabel(/^Memory/).fill('128m');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { name: 'shop' }).waitFor();
  const { State, HostConfig } = inspect('shop');
  expect(State.Running).toBe(true);
  expect(HostConfig.Binds).toEqual(['goods:/www']);
  expect(HostConfig.Memory).toBe(128 * 2 ** 20);
  // what was published is reached
  const [program = '', ...args] = lab.wrap(['curl', '--silent', '--retry', '20', '--retry-all-errors']);
  const answer = execFileSync(program, [...args, 'http://127.0.0.1:8085/'], { encoding: 'utf8' });
  expect(answer).toBe('hello\n');
});

test('its log is watched as it is written', async () => {
  const { page } = lab;
  await page.getByText('open', { exact: true }).waitFor();
  docker('exec', 'shop', 'sh', '-c', 'echo later > /proc/1/fd/1');
  await page.locator('.log').getByText('later', { exact: true }).waitFor();
  expect(await textOf('.log-foot')).toContain(`${docker('logs', 'shop').split('\n').length} lines`);
});

test('its plots and numbers are those of docker stats', async () => {
  const { page } = lab;
  await page.getByRole('link', { name: 'Stats' }).click();
  await isShown(() => {
    const [limit = '', net = '', disk = '', pids = ''] = docker(
      ...['stats', '--no-stream', '--format', '{{.MemUsage}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}', 'shop'],
    ).split('|');
    return [
      `of ${spaced(limit.split(' / ')[1] ?? '')}`,
      `Network in / out ${spaced(net)}`,
      `Disk read / written ${spaced(disk)}`,
      `Processes ${pids}`,
    ];
  });
  // CPU, memory, network, and the disk once there are two samples of it
  await page.locator('.plot-box canvas').nth(3).waitFor();
});

test('its terminal has its files, its processes are docker top’s', async () => {
  const { page } = lab;
  await page.getByRole('link', { name: 'Terminal' }).click();
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  const rows = page.locator('.xterm-rows');
  await rows.getByText('/ #').first().waitFor();
  await page.keyboard.type('cat /www/index.html; exit\n');
  await rows.getByText('hello', { exact: true }).waitFor();
  await page.getByText('It ended with 0.').waitFor();
  await page.getByRole('link', { name: 'Processes' }).click();
  await page.locator('tbody tr').first().waitFor();
  const [, ...processes] = docker('top', 'shop').split('\n');
  expect(await page.locator('tbody tr').count()).toBe(processes.length);
  expect(await textOf('tbody tr td:nth-child(2)')).toBe(processes[0]?.split(/ +/)[1]);
});

test('what lies on disk is docker system df’s', async () => {
  const { page } = lab;
  docker('create', '--name', 'unused', '--volume', 'idle:/x', 'busybox');
  docker('rm', 'unused');
  await open('overview');
  await page.locator('.disk li').first().waitFor();
  const lines = docker('system', 'df', '--format', '{{.Type}}|{{.Size}}|{{.Reclaimable}}').split('\n');
  const names: Record<string, string> = { 'Local Volumes': 'Volumes' };
  for (const [type = '', size = '', free = ''] of lines.map((line) => line.split('|'))) {
    const shown = (await page.locator('.disk li', { hasText: names[type] ?? type }).innerText()).replace(
      /\s+/g,
      ' ',
    );
    expect(shown).toContain(spaced(size));
    const reclaimable = free.replace(/ .*/, '');
    expect(shown).toContain(reclaimable === '0B' ? 'Nothing to prune' : `Free ${spaced(reclaimable)}`);
  }
  const counts = (await textOf('.numbers')).replace(/ of /, '/');
  const running = docker('ps', '--quiet').split('\n').length;
  expect(counts).toContain(`Containers ${running} running`);
});
