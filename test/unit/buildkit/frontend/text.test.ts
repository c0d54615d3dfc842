import fc from 'fast-check';

import { parseDockerfile } from '../../../../src/buildkit/frontend/syntax/read-dockerfile';
import { readDockerfile } from '../../../../src/buildkit/frontend/text/dockerfile-text';
import { DockerfileProblem } from '../../../../src/buildkit/frontend/text/problem';

test('lines, flags, comments', () => {
  const { statements, escape, emptyContinuations } = readDockerfile(
    '\ufeff# escape=`\r\n# what it is\r\nfrom a\r\nrun --x="1 2" --y a `\r\n  # between\r\n\r\n  b\r\n',
  );
  expect(escape).toBe('`');
  expect(statements).toMatchObject([
    { keyword: 'from', body: 'a', lines: { first: 3, last: 3 }, comments: ['what it is'] },
    { keyword: 'run', flags: ['--x=1 2', '--y'], body: 'a   b', lines: { first: 4, last: 7 } },
  ]);
  expect(emptyContinuations).toEqual([{ first: 4, last: 7 }]);
});

test('here-documents', () => {
  const { statements } = readDockerfile('RUN cat <<A <<-"B" 3<<C\n$a\nA\n\t\tb\n\tB\nC\nCMD x <<D\n');
  expect(statements).toMatchObject([
    {
      lines: { first: 1, last: 6 },
      heredocs: [
        { name: 'A', expands: true, stripsTabs: false, content: '$a\n' },
        { name: 'B', expands: false, stripsTabs: true, content: 'b\n' },
        { name: 'C', descriptor: '3', content: '' },
      ],
    },
    { keyword: 'CMD', heredocs: [] },
  ]);
});

test('whatever is written is read or refused', () => {
  const piece = fc.constantFrom(
    ...[
      'FROM',
      'RUN',
      'COPY',
      'ENV',
      'ARG',
      'ONBUILD',
      'LABEL',
      'HEALTHCHECK',
      'CMD',
      'a',
      'a=b',
      '<<E',
      'E',
    ],
    ...[
      '\\',
      '\n',
      ' ',
      '"',
      "'",
      '#',
      '--mount=type=cache,target=/x',
      '--from=a',
      '[',
      ']',
      '$x',
      '=',
      '\t',
      '\r\n',
      '`',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        parseDockerfile(pieces.join(''));
      } catch (error) {
        expect(error).toBeInstanceOf(DockerfileProblem);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['continued lines', `RUN a \\\n${'b \\\n'.repeat(100_000)}`],
  ['comments', '# x\n'.repeat(200_000)],
  ['marks of documents', `FROM a\nRUN ${'<<'.repeat(30_000)}`],
  ['documents', `FROM a\nRUN ${'<<E '.repeat(10_000)}\n${'E\n'.repeat(10_000)}`],
  ['white space', `FROM a\nENV a${' '.repeat(60_000)}`],
  ['pairs', `FROM a\nENV ${'a=b '.repeat(15_000)}`],
  ['flags', `FROM a\nRUN ${'--a '.repeat(15_000)}`],
  ['arrays', `FROM a\nCMD ${'['.repeat(60_000)}`],
])('hostile texts end soon: %s', (_name, text) => {
  const start = process.cpuUsage();
  try {
    parseDockerfile(text);
  } catch (error) {
    expect(error).toBeInstanceOf(DockerfileProblem);
  }
  expect(process.cpuUsage(start).user).toBeLessThan(3_000_000);
});

test('bounds', () => {
  expect(() => readDockerfile(`RUN ${'x'.repeat(70_000)}`)).toThrow(
    'dockerfile line greater than max allowed size of 65535',
  );
  expect(() => readDockerfile('x'.repeat(5 * 1024 * 1024))).toThrow('larger than');
  expect(() => readDockerfile('RUN x\n'.repeat(20_001))).toThrow('more than 20000 instructions');
  expect(() => parseDockerfile('FROM a\n'.repeat(2001))).toThrow('more than 2000 stages');
});
