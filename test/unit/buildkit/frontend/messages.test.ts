// What is said of faults, word for word as dockerd 26 (BuildKit 0.13) says it, but where the comment says otherwise.

import { build, FakeBridge, failureOf } from './fake-bridge';

const faults: readonly (readonly [dockerfile: string, message: string])[] = [
  ['', 'the Dockerfile cannot be empty'],
  ['# x\n', 'file with no instructions'],
  ['FROM base\nRUNN x\n', 'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)'],
  ['FROM base\nFOOBAR x\n', 'dockerfile parse error on line 2: unknown instruction: FOOBAR'],
  [
    'FROM base\nRUN --moun=x y\n',
    'dockerfile parse error on line 2: unknown flag: moun (did you mean mount?)',
  ],
  ['FROM a b\n', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
  [
    'FROM base AS 9x\n',
    'dockerfile parse error on line 1: invalid name for build stage: "9x", name can\'t start with a number or contain symbols',
  ],
  ['RUN x\n', 'no build stage in current context'],
  ['FROM base\nSTOPSIGNAL FOO\n', 'invalid signal: FOO'],
  ['FROM base\nRUN --mount=type=cache y\n', 'invalid mount target "/"'],
  ['FROM base\nRUN []\n', 'failed to marshal LLB definition: arguments are required'],
  ['FROM base\nENV a\n', 'ENV must have two arguments'],
  ['FROM base\nENV =a\n', 'dockerfile parse error on line 2: ENV names can not be blank'],
  ['FROM base\nENV a=b c\n', 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
  [
    'FROM base\nCOPY a\n',
    'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  ['FROM base\nRUN <<EOF\nx\n', 'unterminated heredoc'],
  [
    'FROM base AS a\nCOPY --from=b x y\nFROM base AS b\nCOPY --from=a x y\n',
    'circular dependency detected on stage: a',
  ],
  [
    'FROM base AS a\nFROM base\nCOPY --from=c x y\nFROM base AS c\nCOPY --from=1 x y\n',
    'circular dependency detected on stage: stage-1',
  ],
  ['FROM base\nCOPY --from=0 a b\n', 'circular dependency detected on stage: stage-0'],
  ['FROM base\nCOPY --from=7 a b\n', 'invalid stage index 7'],
  ['FROM ${X}\n', 'base name (${X}) should not be blank'],
  [
    'FROM UPPER\n',
    'failed to parse stage name "UPPER": invalid reference format: repository name (library/UPPER) must be lowercase',
  ],
  ['FROM base\nENV a=${x\n', 'failed to process "${x": syntax error: missing \'}\''],
  [
    'FROM base\nENV a="x\n',
    'failed to process "\\"x": unexpected end of statement while looking for matching double-quote',
  ],
  [
    'FROM base\nRUN --mount=type=cache,tarjet=/x y\n',
    "unexpected key 'tarjet' in 'tarjet=/x' (did you mean target?)",
  ],
  ['FROM base\nRUN --mount=type=secret y\n', 'invalid secret mount. one of source, target required'],
  [
    'FROM base\nONBUILD ONBUILD RUN x\n',
    "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
  ],
  [
    'FROM base\nONBUILD FROM x\n',
    "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
  ],
  [
    'FROM base\nSHELL /bin/sh\n',
    'dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form',
  ],
  [
    'FROM base\nHEALTHCHECK FOO\n',
    'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)',
  ],
  [
    'FROM base\nHEALTHCHECK NONE a\n',
    'dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments',
  ],
  ['FROM base\nHEALTHCHECK CMD\n', 'dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD'],
  ['FROM base\nEXPOSE foo\n', 'Invalid containerPort: foo'],
  ['FROM base\nEXPOSE 80/xyz\n', 'Invalid proto: xyz'],
  ['FROM base\nCMD [1]\n', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['FROM base\nARG =x\n', 'dockerfile parse error on line 2: ARG names can not be blank'],
  [
    'FROM base\nVOLUME [""]\n',
    'dockerfile parse error on line 2: VOLUME specified can not be an empty string',
  ],
  ['FROM base\nADD --checksum=sha256:aa http://127.0.0.1:1/x y\n', 'invalid checksum digest length'],
  ['# escape=x\nFROM base\n', "invalid escape token 'x' does not match ` or \\"],
];

test.each(faults)('%j', async (dockerfile, message) => {
  expect((await failureOf(dockerfile)).message).toBe(message);
});

test('a fault says where: the lines of its instruction', async () => {
  const error = await failureOf('FROM base\nRUN x \\\n  y\nENV a=${x\n');
  expect(error.details).toMatchObject([
    {
      kind: 'source',
      info: { filename: 'Dockerfile', language: 'Dockerfile' },
      ranges: [{ start: { line: 4 }, end: { line: 4 } }],
    },
  ]);
});

test('targets and files that are not there', async () => {
  expect((await failureOf('FROM base AS abc\n', { target: 'abd' })).message).toContain(
    'target stage "abd" could not be found',
  );
  expect((await failureOf('FROM base\n', { filename: 'Nope' })).message).toBe(
    'failed to read dockerfile: open Nope: no such file or directory',
  );
});

test('an image that can not be had, at the line that wants it', async () => {
  const error = await failureOf('FROM base\n\nCOPY --from=gone /a /b\n');
  expect(error.message).toBe(
    'gone: failed to resolve source metadata for docker.io/library/gone:latest: docker.io/library/gone:latest: not found',
  );
  expect(error.details).toMatchObject([{ kind: 'source', ranges: [{ start: { line: 3 } }] }]);
});

test('frontends of others are refused where nothing runs them', async () => {
  const bridge = new FakeBridge('# syntax=example.com/other:1\nFROM base\n');
  await build(bridge);
  expect(bridge.frontends).toMatchObject([{ name: 'gateway.v0' }]);
  expect(bridge.frontends[0]?.request.options.get('source')).toBe('example.com/other:1');
  for (const ours of ['docker/dockerfile:1', 'docker/dockerfile:1.4', 'docker.io/docker/dockerfile']) {
    expect((await build(`# syntax=${ours}\nFROM base\n`)).bridge.frontends).toEqual([]);
  }
});

test('a question that nobody knows', async () => {
  expect(await failureOf('FROM base\n', { requestid: 'frontend.unknown' })).toMatchObject({
    code: 'Unimplemented',
    message: 'unsupported request frontend.unknown',
    details: [{ kind: 'subrequest', name: 'frontend.unknown' }],
  });
});
