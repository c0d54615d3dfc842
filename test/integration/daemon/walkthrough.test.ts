// docs/walkthrough.md is true: its files are written, its commands run in one shell, and print what it shows.

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { projectDir } from '../../support/process/project-dir';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { makeBusyboxArchive } from '../../support/images/test-images';

jest.setTimeout(300_000);

let dir: string;
let daemon: CaissonDaemon;

beforeAll(async () => {
  dir = makeScratchDir('walkthrough');
  daemon = await CaissonDaemon.start({ dir, args: ['--accel', 'tcg', '--pool-size', '1'] });
  const env = { ...process.env, DOCKER_HOST: daemon.host };
  execFileSync('/usr/bin/docker', ['load', '-qi', makeBusyboxArchive(dir, 'busybox:latest')], { env });
});

afterAll(async () => {
  await daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

const text = readFileSync(join(projectDir, 'docs/walkthrough.md'), 'utf8');

/** What the `console` blocks show, as lines. */
const shown = [...text.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
  block.trimEnd().split('\n'),
);

/** Each command, announced as the document does. */
function scriptOf(lines: readonly string[]): string {
  const commands = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  return commands
    .map((command) => `printf '%s\\n' '$ ${command.replaceAll("'", String.raw`'\''`)}'\n${command}\n`)
    .join('');
}

/** `…` is anything within a line; spaces at its end are not seen in a document. */
function matches(line: string, expected: string): boolean {
  const parts = expected.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`).test(line.trimEnd());
}

it('prints what docs/walkthrough.md shows', async () => {
  for (const [, name = '', content = ''] of text.matchAll(/^`([\w.]+)`[^\n]*\n\n```yaml\n(.*?)^```$/gms)) {
    writeFileSync(join(dir, name), content);
  }
  const env = { ...process.env, DOCKER_HOST: daemon.host };
  const caisson = `caisson() { '${process.execPath}' '${join(projectDir, 'bin', 'caisson')}' "$@"; }\n`;
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', `${caisson}${scriptOf(shown)}`], {
    cwd: dir,
    env,
  });
  const printed = stdout.trimEnd().split('\n');
  // Columns are as wide as what is in them, which `…` hides.
  const squeeze = (line: string): string => line.replace(/ +/g, ' ');
  const wrong = shown
    .map((expected, index) => ({ expected, printed: printed[index] ?? '' }))
    .filter((line) => !matches(squeeze(line.printed), squeeze(line.expected)));
  expect({ wrong, stderr, lines: printed.length }).toEqual({ wrong: [], stderr: '', lines: shown.length });
});
