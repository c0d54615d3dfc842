// Dockerfiles of any text: read, or refused in words meant for the client; never a mistake of ours, and never for ever.

import fc from 'fast-check';

import { parseDockerfile } from '../../../src/dockerfile/parser';
import { expandCommand } from '../../../src/dockerfile/expansion';
import { parseBuild } from '../../../src/dockerfile/instruction-parser';
import type { Command } from '../../../src/dockerfile/instructions';
import { DaemonError } from '../../../src/errors';
import { expandWord } from '../../../src/dockerfile/words';

/** Errors for clients are DaemonErrors or plain ones that the caller wraps; a TypeError or RangeError is a bug. */
function orRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DaemonError || (error as Error).constructor === Error) return undefined;
    throw error;
  }
}

const keywords = [
  'FROM busybox',
  'FROM',
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'HEALTHCHECK',
  'HEALTHCHECK --interval=1s CMD',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'ONBUILD RUN',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
  '# escape=`',
  '#',
];
const piece = fc.oneof(
  fc.constantFrom('a', '"', "'", '\\', '`', '$', '${', '}', ':-', ':+', ':?', '=', ' ', '\t', '[', ']', ','),
  fc.constantFrom(
    '--from=0',
    '--chown=a:b',
    '--platform',
    '--',
    '["a","b"]',
    '{}',
    '<<EOF',
    '80/tcp',
    '\\\n',
    '\0',
  ),
  fc.string({ unit: 'grapheme', maxLength: 4 }),
);
const rest = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
const line = fc
  .tuple(fc.constantFrom(...keywords), fc.constantFrom(' ', '', '\t'), rest)
  .map((parts) => parts.join(''));
const dockerfile = fc.oneof(
  fc.array(line, { maxLength: 8 }).map((lines) => ['FROM busybox', ...lines].join('\n')),
  fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\r\n')),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

function commandsOf(text: string): { commands: Command[]; escape: string } | undefined {
  return orRefused(() => {
    const parsed = parseDockerfile(text);
    const { metaArgs, stages } = parseBuild(parsed, 'Dockerfile');
    return { commands: [...metaArgs, ...stages.flatMap((stage) => stage.commands)], escape: parsed.escape };
  });
}

describe('a Dockerfile', () => {
  test('is read or refused, and its instructions take any variables', () =>
    fc.assert(
      fc.property(
        dockerfile,
        fc.array(fc.tuple(fc.constantFrom('a', 'b', '_x'), rest)),
        (text, variables) => {
          const env = variables.map(([name, value]) => `${name}=${value}`);
          const read = commandsOf(text);
          for (const command of read?.commands ?? []) {
            const expanded = orRefused(() => expandCommand(command, env, read?.escape ?? '\\'));
            if (expanded !== undefined) expect(expanded.kind).toBe(command.kind);
          }
        },
      ),
      { numRuns: 1000 },
    ));

  test('comes out the same from each ending of its lines', () =>
    fc.assert(
      fc.property(
        fc.array(
          line.filter((text) => !/[\r\n]/.test(text)),
          { maxLength: 5 },
        ),
        (lines) => {
          const texts = ['\n', '\r\n'].map((ending) => ['FROM busybox', ...lines, ''].join(ending));
          const [unix, windows] = texts.map(commandsOf);
          expect(windows?.commands).toEqual(unix?.commands);
        },
      ),
    ));
});

describe('a word', () => {
  test('without special characters stands for itself', () =>
    fc.assert(
      fc.property(fc.stringMatching(/^[\w./:@-]{0,30}$/), (text) => {
        expect(expandWord(text, new Map([['a', 'b']]), '\\')).toBe(text);
      }),
    ));

  test('with a variable has its value, which is not expanded again', () =>
    fc.assert(
      fc.property(rest, (value) => {
        expect(expandWord('${v}', new Map([['v', value]]), '\\')).toBe(value);
        expect(expandWord('${none:-$v}', new Map([['v', value]]), '\\')).toBe(value);
      }),
    ));
});
