import fc from 'fast-check';
import { parseDockerfile } from '../../../src/dockerfile/parser';
import { parseBuild, parseCommand } from '../../../src/dockerfile/instruction-parser';
import type { BuildPlan } from '../../../src/dockerfile/instructions';
import { DaemonError } from '../../../src/errors';

const parse = (text: string): BuildPlan => parseBuild(parseDockerfile(text), 'Dockerfile');
const only = (line: string): object => parse(`FROM x\n${line}\n`).stages[0]!.commands[0]!;

describe('lines of a Dockerfile', () => {
  test.each([
    ['RUN a \\\n  b\n', 'RUN a   b'],
    ['RUN a \\\n# no part of it\n  b\n', 'RUN a   b'],
    ['  RUN\ta\r\n', 'RUN\ta'],
    ['# escape=`\nRUN a `\n b\n', 'RUN a  b'],
    ['# syntax=x/y\n# escape=`\nRUN a `\n b\n', 'RUN a  b'],
    ['# first\n# escape=`\nRUN a `\nRUN b\n', 'RUN a `'],
    ['RUN a\\', 'RUN a'],
    ['\ufeffRUN a', 'RUN a'],
  ])('%j', (text, original) => {
    expect(parseDockerfile(text).lines[0]?.original).toBe(original);
  });

  test('long runs of white space are no work for hours', () => {
    const spaces = ' '.repeat(65_000);
    const lines = Array.from({ length: 200 }, () => `RUN a${spaces}b`).join('\n');
    expect(parseDockerfile(`# syntax=a${spaces}b\nFROM x\n${lines}\n`).lines).toHaveLength(201);
  });

  test('an empty line in a continued one is warned of', () => {
    expect(parseDockerfile('RUN a \\\n\n b\n').warnings).toEqual([
      '[WARNING]: Empty continuation line found in:\n    RUN a  b',
      '[WARNING]: Empty continuation lines will become errors in a future release.',
    ]);
  });
});

describe('instructions', () => {
  test.each([
    ['CMD ["a", "b c"]', { kind: 'cmd', command: { words: ['a', 'b c'], usesShell: false } }],
    ["CMD ['a']", { kind: 'cmd', command: { words: ["['a']"], usesShell: true } }],
    ['CMD', { kind: 'cmd', command: { words: [], usesShell: true } }],
    ['ENTRYPOINT', { kind: 'entrypoint', command: { words: undefined, usesShell: true } }],
    ['RUN --mount=type=cache a', { kind: 'run', flagsUsed: ['mount'] }],
    [
      'ENV a=b c="d e"',
      {
        pairs: [
          { key: 'a', value: 'b' },
          { key: 'c', value: '"d e"' },
        ],
      },
    ],
    ['ENV a b  c', { pairs: [{ key: 'a', value: 'b  c' }] }],
    [
      'ARG a b=1',
      {
        args: [
          { key: 'a', value: undefined },
          { key: 'b', value: '1' },
        ],
      },
    ],
    [
      'COPY --from=x --chown=1:2 a b /c/',
      { from: 'x', chown: '1:2', sources: ['a', 'b'], destination: '/c/' },
    ],
    ['COPY ["a b", "/c"]', { sources: ['a b'], destination: '/c' }],
    ['EXPOSE 80 53/udp', { ports: ['53/udp', '80'] }],
    ['VOLUME /a /b', { paths: ['/a', '/b'] }],
    ['ONBUILD RUN  a', { trigger: 'RUN  a' }],
    ['SHELL ["a"]', { shell: ['a'] }],
  ])('%s', (line, expected) => {
    expect(only(line)).toMatchObject(expected);
  });

  test.each([
    ['FOO', 'dockerfile parse error line 2: unknown instruction: FOO'],
    [
      'COPY a',
      'dockerfile parse error line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    ],
    ['COPY --link a b', 'dockerfile parse error line 2: Unknown flag: link'],
    ['COPY --from a b', 'dockerfile parse error line 2: Missing a value on flag: from'],
    ['FROM a b', 'dockerfile parse error line 2: FROM requires either one or three arguments'],
    [
      'FROM a AS 1',
      'dockerfile parse error line 2: invalid name for build stage: "1", name can\'t start with a number or contain symbols',
    ],
    ['ENV a', 'failed to parse Dockerfile: ENV must have two arguments'],
    ['ENV =a', 'dockerfile parse error line 2: ENV names can not be blank'],
    [
      'LABEL a=b c',
      `failed to parse Dockerfile: Syntax error - can't find = in "c". Must be of the form: name=value`,
    ],
    ['SHELL a', 'dockerfile parse error line 2: SHELL requires the arguments to be in JSON form'],
    [
      'CMD ["a", 1]',
      'failed to parse Dockerfile: when using JSON array syntax, arrays must be comprised of strings only',
    ],
    ['ONBUILD ENV a', 'failed to parse Dockerfile: ENV must have two arguments'],
    ['HEALTHCHECK a\\b', 'dockerfile parse error line 2: Unknown type "A\\\\B" in HEALTHCHECK (try CMD)'],
    ['ONBUILD FROM a', "dockerfile parse error line 2: FROM isn't allowed as an ONBUILD trigger"],
  ])('%s is refused', (line, message) => {
    expect(() => only(line)).toThrow(message);
  });

  test('there must be a FROM', () => {
    expect(() => parse('RUN a\n')).toThrow('no build stage in current context');
    expect(() => parse('ARG a\n')).toThrow('no build stage in current context');
    expect(() => parseDockerfile('# nothing\n')).toThrow('file with no instructions');
  });
});

describe('whatever the text', () => {
  const words = fc.constantFrom(
    ...[
      'FROM',
      'RUN',
      'ENV',
      'COPY',
      'ARG',
      'LABEL',
      'HEALTHCHECK',
      'ONBUILD',
      'CMD',
      '--from=',
      '--x',
      '[',
      '"a"',
      ',',
      ']',
    ],
    ...[
      '=',
      '$',
      '${',
      '}',
      '\\',
      '`',
      '# escape=',
      "'",
      '"',
      ' ',
      '\t',
      '\n',
      '\r\n',
      'a',
      '\u0000',
      'ü',
      'CMD',
      'AS',
    ],
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(words, { maxLength: 60 }).map((list) => `FROM x\n${list.join('')}`),
  );

  test('it is parsed, or refused in words', () => {
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(DaemonError);
        }
        try {
          parseCommand(text, '\\');
        } catch (error) {
          expect(error).toBeInstanceOf(DaemonError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
