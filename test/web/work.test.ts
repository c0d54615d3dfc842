// What one does with the page, besides looking: files put in and taken out, images pushed, pulled and searched for, builds watched,
// manifests played, checkpoints, volumes looked into; and all of it by the keyboard, where that is meant to do.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startRegistry } from '../support/images/registry-process';
import { enter, usePage } from '../support/labs/page-lab';
import { NetworkNamespace } from '../support/network/network-namespace';
import type { GuardedProcess } from '../support/process/guarded-process';
import { projectDir } from '../support/process/project-dir';

jest.setTimeout(600_000);

const lab = usePage('web-work', [], ({ docker }) => {
  docker('run', '--detach', '--name', 'desk', 'busybox', 'sleep', '1d');
});
const { docker, inspect, open } = lab;
let registry: GuardedProcess;

beforeAll(async () => {
  // the namespace is that of the daemon's process
  const namespace = NetworkNamespace.existing(lab.daemon.process.pid);
  registry = await startRegistry({ dir: join(lab.dir, 'registry'), namespace, port: 5000 });
  await enter(lab);
}, 120_000);
afterAll(() => registry.stop());

test('files are put into a container, taken out, and compared with the image', async () => {
  const { page, dir } = lab;
  const name = 'notes <b>1<b>.txt';
  writeFileSync(join(dir, name), 'written outside\n');
  await open(`containers/${inspect('desk').Id}/files/${encodeURIComponent('/tmp')}`);
  await page.locator('input[type=file]').setInputFiles(join(dir, name));
  await page.locator('.files').getByText(name).waitFor();
  expect(docker('exec', 'desk', 'cat', `/tmp/${name}`)).toBe('written outside');
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: `Download ${name}` }).click(),
  ]);
  expect(readFileSync(await saved.path(), 'utf8')).toBe('written outside\n');
  await page.getByRole('button', { name: 'Changes' }).click();
  await page.locator('.changes').getByText(`/tmp/${name}`).waitFor();
  const changes = docker('diff', 'desk').split('\n');
  expect(await page.locator('.changes li').count()).toBe(changes.length);
});

test('an image is tagged, pushed and pulled, with a bar for each layer', async () => {
  const { page } = lab;
  const name = '127.0.0.1:5000/team/app:1';
  await open(`images/${encodeURIComponent(inspect('desk').Image)}`);
  await page.getByRole('button', { name: 'Tag' }).click();
  await page.getByLabel(/^Name, like/).fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Tag' }).click();
  await page.getByText('The image has the name.').waitFor();
  await page.getByRole('button', { name: 'Push' }).click();
  await page.getByRole('combobox', { name: 'Name' }).selectOption(name);
  const layer = page.locator('dialog .progress li').first().innerText();
  await page.getByRole('dialog').getByRole('button', { name: 'Push' }).click();
  expect(await layer).toMatch(/^[\da-f]{12}/);
  await page.getByText(`${name} is pushed.`).waitFor();
  docker('rmi', name);
  await open('images');
  await page.getByRole('button', { name: 'Pull' }).click();
  await page.getByRole('dialog').getByLabel(/^Name/).fill('127.0.0.1:5000/team/none:1');
  await page.getByRole('dialog').getByRole('button', { name: 'Pull' }).click();
  // what is wrong stands in the dialog, which stays
  await page.getByRole('dialog').getByRole('alert').getByText('team/none').waitFor();
  await page.getByRole('dialog').getByLabel(/^Name/).fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Pull' }).click();
  await page.getByText(`${name} is here.`).waitFor();
  expect(docker('images', '--format', '{{.Repository}}:{{.Tag}}')).toContain(name);
});

test('a container is renamed, paused, committed, killed and removed', async () => {
  const { page } = lab;
  docker('run', '--detach', '--name', 'toy', 'busybox', 'sh', '-c', 'echo made > /made; sleep 1d');
  await open(`containers/${inspect('toy').Id}/logs`);
  const choose = async (item: string): Promise<void> => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('button', { name: item }).click();
  };
  await choose('Rename…');
  await page.getByLabel('New name').fill('plaything');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'plaything', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  expect(inspect('plaything').State.Paused).toBe(true);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  await choose('Commit to an image…');
  await page.getByLabel(/^Name of the image/).fill('team/toy:2');
  await page.keyboard.press('Enter');
  await page.getByText('The image is made.').waitFor();
  expect(docker('run', '--rm', 'team/toy:2', 'cat', '/made')).toBe('made');
  await choose('Kill…');
  await page.getByLabel('Signal').and(page.locator(':focus')).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Start', exact: true }).waitFor();
  expect(inspect('plaything').State.ExitCode).toBe(137);
  await choose('Remove…');
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('heading', { name: 'Containers' }).waitFor();
  expect(docker('ps', '--all', '--format', '{{.Names}}')).not.toContain('plaything');
});

test('a checkpoint is made, and started from', async () => {
  const { page } = lab;
  docker(
    'run',
    '--detach',
    '--name',
    'saved',
    'busybox',
    'sh',
    '-c',
    'i=0; while :; do i=$((i+1)); echo $i; sleep 1; done',
  );
  await open(`containers/${inspect('saved').Id}/logs`);
  await page.locator('.log').getByText('3', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('button', { name: 'Checkpoint…' }).click();
  await page.getByLabel('Name').fill('third');
  await page.getByLabel('Stop the container with it').check();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByText('The checkpoint is saved.').waitFor();
  await page.getByRole('link', { name: 'Checkpoints' }).click();
  await page.getByText('third').waitFor();
  await page.getByRole('button', { name: 'Start from it' }).click();
  await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
  expect(inspect('saved').State.Running).toBe(true);
  docker('rm', '--force', 'saved');
});

test('a volume that no container has is looked into', async () => {
  const { page } = lab;
  docker('run', '--rm', '--volume', 'attic:/a', 'busybox', 'sh', '-c', 'echo old > /a/box');
  await open('volumes');
  await page.getByRole('button', { name: 'Look into attic' }).click();
  await page.locator('.files').getByText('box').waitFor();
  await page.getByRole('button', { name: 'Done: remove it' }).click();
  await page.getByRole('heading', { name: 'Volumes' }).waitFor();
  expect(docker('ps', '--all', '--quiet', '--filter', 'label=caisson.browse')).toBe('');
});

test('a manifest is played, its probes are shown, and it is replaced and taken down', async () => {
  const { page } = lab;
  const manifest = (text: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: probed }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: busybox
      imagePullPolicy: Never
      command: [sh, -c, 'echo ${text} > /tmp/index.html; exec httpd -f -p 80 -h /tmp']
      readinessProbe: { httpGet: { port: 80, path: /index.html }, periodSeconds: 1 }
`;
  await open('pods');
  const play = async (text: string, replaces: boolean): Promise<void> => {
    await page.getByRole('button', { name: 'Play a manifest' }).click();
    await page.getByLabel('Manifest, YAML or JSON').fill(text);
    if (replaces) await page.getByLabel('In place of what has the same names').check();
    await page.getByRole('button', { name: 'Play', exact: true }).click();
  };
  await play(manifest('one'), false);
  await page.getByText('readiness: passed').waitFor();
  await page.getByText('1 of 1 ready').waitFor();
  await lab.picture('plays');
  await play(manifest('two'), false);
  await page.getByRole('dialog').getByText('is played already').waitFor();
  await page.getByLabel('In place of what has the same names').check();
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByText('readiness: passed').waitFor();
  expect(docker('exec', 'probed-web', 'cat', '/tmp/index.html')).toBe('two');
  await page.getByRole('button', { name: 'Take a manifest down' }).click();
  await page.getByLabel('The manifest that was played').fill(manifest('two'));
  await page.getByRole('button', { name: 'Take down', exact: true }).click();
  await page.getByRole('heading', { name: 'No Pods yet' }).waitFor();
});

test('a build is watched while it runs, as a tree with what its steps write', async () => {
  const { page, dir } = lab;
  const context = join(dir, 'context');
  mkdirSync(context);
  writeFileSync(
    join(context, 'Dockerfile'),
    [
      'FROM busybox AS tools',
      'RUN echo tool > /tool',
      'FROM busybox',
      'COPY --from=tools /tool /tool',
      'RUN echo begun; until [ -e /go ]; do sleep 0.2; i=$((i+1)); [ $i -lt 15 ] || break; done; echo ended',
    ].join('\n'),
  );
  const buildx = join(lab.dir, 'docker-config', 'cli-plugins');
  mkdirSync(buildx, { recursive: true });
  const plugin = join(
    projectDir,
    'build',
    'trixie',
    'usr',
    'libexec',
    'docker',
    'cli-plugins',
    'docker-buildx',
  );
  symlinkSync(plugin, join(buildx, 'docker-buildx'));
  const build = spawn('docker', ['--host', lab.daemon.host, 'build', '--tag', 'team/tree:1', context], {
    env: { ...process.env, DOCKER_BUILDKIT: '1', DOCKER_CONFIG: join(lab.dir, 'docker-config') },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => build.once('exit', resolve));
  await open('builds');
  await page.getByRole('link', { name: 'team/tree:1' }).click();
  await page.locator('.step-output, .output').getByText('begun').waitFor();
  await page.locator('.steps').getByText('running').waitFor();
  await page.locator('.stage-tree .stage-tree').getByText('RUN echo tool').waitFor();
  await lab.picture('build');
  expect(await ended).toBe(0);
  await page.locator('.head').getByText('done').waitFor();
  await page.locator('.steps').getByText('running').waitFor({ state: 'detached' });
});

test('by the keyboard alone: to a view, to a container, along lists and tabs, into the search', async () => {
  const { page } = lab;
  await open('overview');
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await page.getByRole('heading', { name: 'Images' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: /Name of a view/ }).waitFor();
  await page.keyboard.type('desk');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'desk' }).waitFor();
  await page.getByRole('link', { name: 'Logs' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('link', { name: 'Terminal', exact: true }).and(page.locator(':focus')).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await page.getByRole('heading', { name: 'Containers' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('desk');
  await page.locator('.rows .row').first().waitFor();
  await page.locator('.rows .row a').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'desk' }).waitFor();
  // a menu: opened, gone along, left
  await page.getByRole('button', { name: 'More' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Kill…' }).and(page.locator(':focus')).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.getByRole('button', { name: 'Rename…' }).and(page.locator(':focus')).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'More' }).and(page.locator(':focus')).waitFor();
  await page.getByRole('button', { name: 'Rename…' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Control+k');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});
