// Tokens of the daemon's environment are nobody else's: whatever is started says which environment it gets.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../../src/host/run-tool';
import { projectDir } from '../../support/process/project-dir';

const src = join(projectDir, 'src');

/** Calls that start a program, up to the bracket that closes them. */
function starts(text: string): string[] {
  return [...text.matchAll(/(?<![.#\w])(?:spawn|execFile|promisify\(execFile\))\(/g)].map(
    ({ index, 0: head }) => {
      let depth = 1;
      let end = index + head.length;
      for (; depth > 0 && end < text.length; end++) {
        if (text[end] === '(') depth += 1;
        if (text[end] === ')') depth -= 1;
      }
      return text.slice(index, end);
    },
  );
}

test('tools find programs, and nothing else of the daemon’s environment', async () => {
  process.env['SOME_TOKEN'] = 'secret';
  try {
    expect((await runTool('env', [])).trim()).toMatch(/^PATH=[^\n]*$/);
  } finally {
    delete process.env['SOME_TOKEN'];
  }
});

test('no program is started without an environment of its own', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const found = files.flatMap((name) => {
    const text = readFileSync(join(src, name), 'utf8');
    if (!text.includes("from 'node:child_process'")) return [];
    // given with the call, or named before it; and a method may have that name
    const isGiven = (call: string): boolean => /\benv\b|\boptions\b|: string/.test(call);
    return starts(text)
      .filter((call) => !isGiven(call))
      .map((call) => `${name}: ${call.split('\n')[0] ?? ''}`);
  });
  expect(found).toEqual([]);
});
