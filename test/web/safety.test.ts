// The page under attack, in a real browser that is logged in: by other pages of the same address, by names that lead here, in
// frames; and by what guests say, which is text wherever it shows up.

import type { Page } from 'playwright-core';

import { enter, origin, usePage } from '../support/labs/page-lab';

jest.setTimeout(600_000);

const markup = '<img src=x onerror=alert(1)>';
/** A file may be called anything that has no slash. */
const fileName = `"${markup}\n.html`;
const escapes = [
  '\\033]0;owned\\007', // the window's title
  '\\033]52;c;b3duZWQ=\\007', // the clipboard
  '\\033]8;;javascript:alert(1)\\033\\\\click\\033]8;;\\033\\\\', // a link
  '\\033[2J\\033[H\\033c', // all of the screen
].join('');

const lab = usePage('web-safety', [], ({ docker }) => {
  const said = `printf '${markup}\\n${escapes}after\\n'; sleep 1d`;
  docker('run', '--detach', '--name', 'hostile', '--label', `said=${markup}`, 'busybox', 'sh', '-c', said);
  docker('exec', 'hostile', 'sh', '-c', 'mkdir /odd; echo inside > "/odd/$1"', 'sh', fileName);
  // a page of a container's: other pages of this address are same-site for browsers
  docker(
    ...['run', '--detach', '--name', 'neighbour', '--publish', '8086:80', 'busybox', 'sh', '-c'],
    'mkdir /w; echo "<title>neighbour</title>" > /w/index.html; httpd -f -h /w',
  );
});
const { docker, inspect, open } = lab;

beforeAll(() => enter(lab), 120_000);

const area = (): Promise<string> => lab.page.evaluate<string>("localStorage.getItem('caisson.area')");

async function otherPage(address: string): Promise<Page> {
  const page = await lab.context.newPage();
  await page.goto(address);
  return page;
}

test('another page of the same address reaches nothing, though it knows the area', async () => {
  const other = await otherPage('http://127.0.0.1:8086/');
  await expect(other.title()).resolves.toBe('neighbour');
  const base = `${origin}/api/${await area()}`;
  expect(base.length).toBeGreaterThan(40);
  const found = await other.evaluate(
    async ([page = '', api = '', id = '']) => {
      const tried = (work: Promise<unknown>): Promise<string> =>
        work.then(
          () => 'answered',
          () => 'refused',
        );
      const read = await tried(fetch(`${api}/v1.41/info`, { credentials: 'include' }));
      // a request that browsers send without asking: what is answered stays unread, what it does is done
      const blind = { method: 'POST', mode: 'no-cors', credentials: 'include' } as const;
      await tried(fetch(`${api}/v1.41/containers/${id}/kill`, blind));
      await tried(fetch(`${api}/v1.41/containers/${id}/kill`, { ...blind, body: '{}' }));
      const login = await tried(fetch(`${page}/login`, { method: 'POST', body: '{"token":"x"}' }));
      const socket = new WebSocket(`${api.replace('http', 'ws')}/v1.41/containers/${id}/attach/ws?stream=1`);
      const attached = await new Promise<string>((resolve) => {
        socket.onopen = () => resolve('answered');
        socket.onerror = () => resolve('refused');
      });
      return { read, login, attached };
    },
    [origin, base, inspect('hostile').Id],
  );
  expect(found).toEqual({ read: 'refused', login: 'refused', attached: 'refused' });
  expect(inspect('hostile').State.Running).toBe(true);
  await other.close();
});

test('it is shown in no frame', async () => {
  const other = await otherPage('http://127.0.0.1:8086/');
  const shown = await other
    .evaluate(async (page) => {
      interface Frame {
        src: string;
        onload: () => void;
        contentWindow: { length: number } | null;
        contentDocument: unknown;
      }
      interface Window {
        document: { createElement(name: string): Frame; body: { append(frame: Frame): void } };
      }
      const { document } = globalThis as unknown as Window;
      const frame = document.createElement('iframe');
      frame.src = page;
      const loaded = new Promise<void>((resolve) => (frame.onload = resolve));
      document.body.append(frame);
      await loaded;
    }, origin)
    .then(() => other.frames().at(-1)?.url());
  expect(shown).toMatch(/^chrome-error:/);
  await other.close();
});

test('a name that leads here is not spoken to', async () => {
  const other = await lab.context.newPage();
  const statuses: (number | undefined)[] = [];
  for (const path of ['/', `/api/${await area()}/v1.41/info`])
    statuses.push((await other.goto(`http://evil.example:890${path}`))?.status());
  await other.close();
  expect(statuses).toEqual([403, 403]);
});

test('nothing that a script reads is the session', async () => {
  expect(await lab.page.evaluate('document.cookie')).toBe('');
  const [cookie] = await lab.context.cookies(`${origin}/api/${await area()}/`);
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: `/api/${await area()}/` });
});

test.each(['logs', 'inspect', 'files', 'stats', 'processes'])('what guests say is text: %s', async (part) => {
  await open(`containers/${inspect('hostile').Id}/${part}`);
  if (part === 'inspect') await lab.page.locator('main input[type=search]').fill('onerror');
  if (part === 'inspect' || part === 'logs') await lab.page.getByText(markup).first().waitFor();
  expect(await lab.page.locator('main img').count()).toBe(0);
  expect(await lab.page.title()).not.toContain('owned');
});

test('lists and events, too', async () => {
  for (const view of ['overview', 'containers', 'events', 'networks', 'volumes', 'images', 'pods', 'vms']) {
    await open(view);
    expect(await lab.page.locator('main img').count()).toBe(0);
  }
});

test('escapes reach neither title nor clipboard, in a log and in a terminal; a link in them leads nowhere', async () => {
  const { page } = lab;
  await page.evaluate("navigator.clipboard.writeText('mine')");
  await open(`containers/${inspect('hostile').Id}/logs`);
  await page.locator('.log').getByText('after').waitFor();
  await open(`containers/${inspect('hostile').Id}/terminal`);
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  const rows = page.locator('.xterm-rows');
  await rows.getByText('/ #').first().waitFor();
  await page.keyboard.type(`printf '${escapes.replace(/\\033\[2J.*$/, '')} there\\n'\n`);
  await rows.getByText(/click there$/).waitFor();
  const { x, y } = (await rows.getByText(/click there$/).boundingBox()) ?? { x: 0, y: 0 };
  await page.mouse.click(x + 5, y + 5);
  expect(await page.title()).toBe('Containers · Caisson');
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe('mine');
  expect(lab.context.pages()).toHaveLength(1);
});

test('a file with a hostile name is saved as a file', async () => {
  const { page } = lab;
  await open(`containers/${inspect('hostile').Id}/files/${encodeURIComponent('/odd')}`);
  await page.getByText('.html').waitFor();
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: /^Download/ }).click(),
  ]);
  expect(saved.suggestedFilename()).not.toMatch(/[/\\\n<>"]/);
  const [archive] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'As tar' }).click(),
  ]);
  expect(archive.suggestedFilename()).toBe('odd.tar');
  expect(page.url()).toContain('/files/');
});

test('for looking only: no script of the page changes anything either', async () => {
  await lab.daemon.kill9();
  await lab.daemon.start(undefined, ['--web-read-only']);
  await open('containers');
  await lab.page.getByText('for looking only').waitFor();
  const { Id } = inspect('hostile');
  const found = await lab.page.evaluate(
    async ([api = '', id = '', socketOrigin = '']) => {
      const status = async (method: string, path: string): Promise<number> =>
        (await fetch(`${api}${path}`, { method, ...(method === 'GET' ? {} : { body: '{}' }) })).status;
      const socket = new WebSocket(`${socketOrigin}${api}/v1.41/containers/${id}/attach/ws?stream=1&stdin=1`);
      const attached = await new Promise<string>((resolve) => {
        socket.onopen = () => resolve('answered');
        socket.onerror = () => resolve('refused');
      });
      return [
        attached,
        await status('PUT', `/v1.41/containers/${id}/archive?path=/`),
        await status('POST', `/v1.41/containers/${id}/exec`),
        await status('POST', '/v1.41/images/load'),
        await status('DELETE', `/v1.41/containers/${id}?force=1`),
        await status('POST', '/v1/play'),
        await status('GET', `/v1.41/containers/${id}/json`),
      ];
    },
    [`/api/${await area()}`, Id, origin.replace('http', 'ws')],
  );
  expect(found).toEqual(['refused', 403, 403, 403, 403, 403, 200]);
  expect(docker('ps', '--quiet', '--no-trunc')).toContain(Id);
});
