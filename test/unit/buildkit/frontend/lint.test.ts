import { build, FakeBridge } from './fake-bridge';

/** `Rule: message (line n)`, as clients print them. */
async function warningsOf(dockerfile: string, context: Record<string, string> = {}): Promise<string[]> {
  const { bridge } = await build(new FakeBridge(dockerfile, context));
  return bridge.warnings.map(({ short }) => short);
}

test.each([
  ['FROM base AS Build\n', ["StageNameCasing: Stage name 'Build' should be lowercase (line 1)"]],
  ['FROM base as x\n', ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"]],
  ['FROM base\nRUN a \\\n\n  b\n', ['NoEmptyContinuation: Empty continuation line (line 2)']],
  [
    'FROM base\nrun a\nRUN b\n',
    [
      "ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase) (line 2)",
    ],
  ],
  [
    'FROM base AS a\nFROM base AS a\n',
    ["DuplicateStageName: Duplicate stage name 'a', stage names should be unique (line 2)"],
  ],
  [
    'FROM base AS context\n',
    ["ReservedStageName: 'context' is reserved and should not be used as a stage name (line 1)"],
  ],
  [
    'FROM base\nCMD a\n',
    [
      'JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)',
    ],
  ],
  ['FROM base\nSHELL ["/bin/sh","-c"]\nCMD a\n', []],
  [
    'FROM base\nMAINTAINER me\n',
    ['MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)'],
  ],
  [
    'ARG TAG=latest\nFROM base:${TAH:-latest} AS a\nFROM base$TAH\n',
    ["UndefinedArgInFrom: FROM argument 'TAH' is not declared (did you mean TAG?) (line 3)"],
  ],
  [
    'FROM base\nWORKDIR a\nWORKDIR b\n',
    [
      'WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes (line 2)',
    ],
  ],
  [
    'FROM base\nENV NAME=x\nLABEL a=$NAEM\n',
    ["UndefinedVar: Usage of undefined variable '$NAEM' (did you mean $NAME?) (line 3)"],
  ],
  ['FROM base\nARG given\nLABEL a=$given\n', []],
  [
    'FROM base\nCMD ["a"]\nCMD ["b"]\n',
    [
      'MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)',
    ],
  ],
  [
    'FROM base\nENV a b\n',
    [
      'LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 2)',
    ],
  ],
  [
    'FROM --platform=$TARGETPLATFORM base\n',
    [
      'RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)',
    ],
  ],
  [
    'FROM base\nARG API_TOKEN\nENV PUBLIC_KEY=1\n',
    [
      'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "API_TOKEN") (line 2)',
    ],
  ],
  [
    'FROM --platform=linux/amd64 base\n',
    [
      'FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64" (line 1)',
    ],
  ],
  ['FROM --platform=linux/amd64 base AS build_amd64\n', []],
  [
    'FROM base\nEXPOSE 80/TCP\n',
    ["ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)"],
  ],
  [
    'FROM base\nEXPOSE 80:80\n',
    [
      "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '80:80' (line 2)",
    ],
  ],
  ['# check=skip=JSONArgsRecommended\nFROM base\nCMD a\n', []],
  ['# check=skip=all\nFROM base\nCMD a\n', []],
])('%j', async (dockerfile, expected) => {
  expect(await warningsOf(dockerfile)).toEqual(expected);
});

test('what .dockerignore leaves out can not be copied', async () => {
  expect(
    await warningsOf('FROM base\nCOPY a.txt b.txt /\n', { '.dockerignore': '# x\n*.txt\n!b.txt\n' }),
  ).toEqual(['CopyIgnoredFile: Attempting to Copy file "a.txt" that is excluded by .dockerignore (line 2)']);
});

test('an argument without which FROM names no image', async () => {
  const lint = async (dockerfile: string): Promise<string[]> => {
    const { bridge } = await build(dockerfile, { 'build-arg:IMAGE': 'base' });
    return bridge.warnings.map(({ short }) => short);
  };
  expect(await lint('ARG IMAGE\nFROM $IMAGE\n')).toEqual([
    'InvalidDefaultArgInFrom: Default value for ARG $IMAGE results in empty or invalid base image name (line 2)',
  ]);
  expect(await lint('ARG IMAGE=other\nFROM $IMAGE\n')).toEqual([]);
  expect(await lint('ARG IMAGE\nFROM ${IMAGE:-other}\n')).toEqual([]);
});

test('an image of another platform than the one asked for', async () => {
  const bridge = new FakeBridge('FROM arm\nRUN a\n');
  bridge.images.set('docker.io/library/arm:latest', { architecture: 'arm64', os: 'linux', config: {} });
  await build(bridge);
  expect(bridge.warnings.map(({ short }) => short)).toEqual([
    'InvalidBaseImagePlatform: Base image arm was pulled with platform "linux/arm64", expected "linux/amd64" for current build (line 1)',
  ]);
});

test('a warning has its page, its rule and its lines', async () => {
  const { bridge } = await build('FROM base\nCMD a\n');
  expect(bridge.warnings).toMatchObject([
    {
      level: 1,
      url: 'https://docs.docker.com/go/dockerfile/rule/json-args-recommended/',
      detail: [
        'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
      ],
      info: { filename: 'Dockerfile' },
      ranges: [{ start: { line: 2 }, end: { line: 2 } }],
    },
  ]);
});

test('warnings that are to be errors end the build', async () => {
  await expect(build('# check=error=true\nFROM base\nCMD a\n')).rejects.toThrow(
    'lint violation found for rules: JSONArgsRecommended (line 3)',
  );
});

describe('questions', () => {
  const answerOf = async (dockerfile: string, requestid: string): Promise<Record<string, unknown>> => {
    const { result } = await build(dockerfile, { requestid });
    expect(result.metadata.get('version')?.toString()).toBe('1.0.0');
    expect(result.metadata.get('result.txt')?.length).toBeGreaterThan(0);
    return JSON.parse(result.metadata.get('result.json')?.toString() ?? '') as Record<string, unknown>;
  };

  test('frontend.lint', async () => {
    expect(await answerOf('FROM base AS a\nFROM gone\nCMD x\n', 'frontend.lint')).toMatchObject({
      warnings: [
        {
          ruleName: 'JSONArgsRecommended',
          url: 'https://docs.docker.com/go/dockerfile/rule/json-args-recommended/',
          location: { ranges: [{ start: { line: 3 }, end: { line: 3 } }] },
        },
      ],
      sources: [{ filename: 'Dockerfile', language: 'Dockerfile' }],
    });
  });

  test('frontend.targets', async () => {
    const text = '# build makes it\nFROM base AS build\nFROM --platform=$BUILDPLATFORM build\n';
    expect((await answerOf(text, 'frontend.targets'))['targets']).toMatchObject([
      { name: 'build', description: 'makes it', base: 'base' },
      { default: true, base: 'build', platform: '$BUILDPLATFORM' },
    ]);
  });

  test('frontend.outline', async () => {
    const text = [
      '# GO the version',
      'ARG GO=1.2',
      'FROM base AS unused',
      'ARG OTHER',
      'FROM base AS build',
      'ARG GO',
      'ARG MORE=$GO',
      'RUN --mount=type=secret,id=s,required --mount=type=ssh --mount=type=cache,target=/c x',
    ].join('\n');
    expect(await answerOf(text, 'frontend.outline')).toMatchObject({
      name: 'build',
      args: [
        { name: 'GO', description: 'the version', value: '1.2' },
        { name: 'MORE', value: '1.2' },
      ],
      secrets: [{ name: 's', required: true }],
      ssh: [{ name: 'default' }],
      cache: [{ ID: '/c' }],
    });
  });

  test('frontend.subrequests.describe', async () => {
    const { result } = await build('no Dockerfile', { requestid: 'frontend.subrequests.describe' });
    const kinds = JSON.parse(result.metadata.get('result.json')?.toString() ?? '') as { Name: string }[];
    expect(kinds.map(({ Name }) => Name)).toEqual([
      'frontend.outline',
      'frontend.targets',
      'frontend.lint',
      'frontend.subrequests.describe',
    ]);
  });
});
