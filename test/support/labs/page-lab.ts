// The web page in Debian's Chromium, on a daemon with busybox and a network of its own, for a file of tests.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

import type { ContainerInspect } from '../../../src/docker/types';
import { projectDir } from '../process/project-dir';
import { useBusyboxDaemon } from './busybox-daemon';
import { type PageEngine, useInstalledEngine } from './installed-engine';

/** Of what the page waits for: a busy host is no failure. */
export const patienceMs = 120_000;
export const origin = 'http://127.0.0.1:890';

export interface PageLab extends PageEngine {
  readonly page: Page;
  readonly context: BrowserContext;
  /** A view by its address within the page, when it has its heading and nothing loads any more. */
  open: (path: string) => Promise<void>;
  inspect: (name: string) => ContainerInspect;
  /** With CAISSON_SCREENSHOTS: keeps what is seen, in docs/screenshots, or in build/screenshots if the name says a width. */
  picture: (name: string) => Promise<void>;
  /** Whatever happens in it that must not, fails the test: errors, dialogs, requests to others, breaches of the policy. */
  watch: (page: Page) => void;
}

function useEngine(name: string, more: readonly string[]): PageEngine {
  const { CAISSON_INSTALLED_HOST: host, CAISSON_INSTALLED_ADDRESS: address } = process.env;
  if (host !== undefined && address !== undefined) return useInstalledEngine(name, host, address);
  const own = useBusyboxDaemon(name, ['--experimental', '--web', '127.0.0.1:890', ...more]);
  return Object.assign(own, {
    wrap: (command: readonly string[]) => own.daemon.wrap(command),
    address: () => readFileSync(join(own.dir, 'run', 'web-url'), 'utf8').trim(),
  });
}

/** `prepare`: what is to be there before the page is opened. */
export function usePage(
  name: string,
  more: readonly string[] = [],
  prepare?: (lab: PageLab) => void,
): PageLab {
  const engine = useEngine(name, more);
  const mistakes: string[] = [];
  let browser: Browser | undefined;
  let running: { page: Page; context: BrowserContext } | undefined;
  const current = (): NonNullable<typeof running> => {
    if (running === undefined) throw new Error('no browser yet');
    return running;
  };
  const lab: PageLab = {
    get dir() {
      return engine.dir;
    },
    get daemon() {
      return engine.daemon;
    },
    docker: engine.docker,
    refusal: engine.refusal,
    get page() {
      return current().page;
    },
    get context() {
      return current().context;
    },
    wrap: engine.wrap,
    address: engine.address,
    async open(path) {
      await lab.page.goto(`${origin}/#/${path}`);
      await lab.page.locator('main h1').first().waitFor();
      await lab.page.locator('main:not(:has(.loading))').waitFor();
    },
    inspect(container) {
      const [found] = JSON.parse(engine.docker('inspect', container)) as ContainerInspect[];
      if (found === undefined) throw new Error(`no container ${container}`);
      return found;
    },
    async picture(file) {
      if (process.env['CAISSON_SCREENSHOTS'] === undefined) return;
      const isKept = !/-(wide|middle|narrow)-/.test(file);
      const directory = join(projectDir, isKept ? 'docs' : 'build', 'screenshots');
      mkdirSync(directory, { recursive: true });
      await lab.page.screenshot({ path: join(directory, `${file}.png`) });
    },
    watch(watched) {
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
    },
  };

  beforeAll(async () => {
    prepare?.(lab);
    const wrapper = join(engine.dir, 'browser');
    const [program = '', ...wrapped] = engine.wrap(['/usr/bin/chromium']);
    writeFileSync(wrapper, `#!/bin/sh\nexec ${[program, ...wrapped].join(' ')} "$@"\n`, { mode: 0o755 });
    // a name of somebody else's that leads here, as DNS rebinding makes it
    const args = ['--no-sandbox', '--host-resolver-rules=MAP evil.example 127.0.0.1'];
    browser = await chromium.launch({ executablePath: wrapper, args, timeout: patienceMs });
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
    running = { context, page: await context.newPage() };
    lab.watch(running.page);
  }, 600_000);

  afterAll(async () => {
    await browser?.close();
  });

  afterEach(() => {
    expect(mistakes.splice(0)).toEqual([]);
  });

  return lab;
}

/** Opens the page by its address, which lets this browser in. */
export async function enter({ page, address }: PageLab): Promise<void> {
  await page.goto(address());
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
}
