import { build, failureOf } from './fake-bridge';

describe('graphs', () => {
  test('one stage: base, commands, copies', async () => {
    const { names, vertexes, config } = await build(
      ['FROM base', 'ENV A=1', 'ARG B=2', 'WORKDIR /src', 'COPY . .', 'RUN echo $A', 'CMD ["x"]'].join('\n'),
    );
    expect(names).toEqual([
      '[1/4] FROM docker.io/library/base:latest',
      '[2/4] WORKDIR /src',
      '[internal] load build context',
      '[3/4] COPY . .',
      '[4/4] RUN echo 1',
    ]);
    expect(vertexes.at(-1)?.op).toMatchObject({
      kind: 'exec',
      value: {
        meta: { args: ['/bin/sh', '-c', 'echo $A'], env: ['PATH=/bin', 'A=1', 'B=2'], cwd: '/src' },
        mounts: [{ dest: '/', input: 0, output: 0 }],
      },
    });
    expect(vertexes.at(-2)?.op).toMatchObject({
      kind: 'file',
      value: {
        actions: [{ input: 0, secondaryInput: 1, output: 0, action: { value: { src: '/', dest: '/src/' } } }],
      },
    });
    expect(config.config).toMatchObject({ Env: ['PATH=/bin', 'A=1'], Cmd: ['x'], WorkingDir: '/src' });
    expect(config.history.map((entry) => entry['created_by'])).toEqual([
      'base',
      'ENV A=1',
      'ARG B=2',
      'WORKDIR /src',
      'COPY . . # buildkit',
      'RUN |1 B=2 /bin/sh -c echo $A # buildkit',
      'CMD ["x"]',
    ]);
  });

  test('stages: those that nobody needs are left out', async () => {
    const { names, bridge } = await build(
      [
        'FROM base AS build',
        'RUN make',
        'FROM unknown AS unused',
        'RUN false',
        'FROM scratch',
        'COPY --from=build /a /b',
      ].join('\n'),
    );
    expect(names).toEqual([
      '[build 1/2] FROM docker.io/library/base:latest',
      '[build 2/2] RUN make',
      '[stage-2 1/1] COPY --from=build /a /b',
    ]);
    expect(bridge.asked).toEqual(['[internal] load metadata for docker.io/library/base:latest']);
  });

  test('a stage has the arguments of the stage that it goes on from', async () => {
    const { vertexes, config } = await build(
      [
        'ARG G=0',
        'FROM base AS one',
        'ARG G',
        'ARG A=1',
        'ENV E=2',
        'FROM one',
        'ARG B=$A$G',
        'RUN x $B',
      ].join('\n'),
    );
    const env = ['PATH=/bin', 'G=0', 'A=1', 'E=2', 'B=10'];
    expect(vertexes.at(-1)?.op).toMatchObject({ value: { meta: { env } } });
    expect(config.history.at(-1)?.['created_by']).toBe('RUN |3 G=0 A=1 B=10 /bin/sh -c x $B # buildkit');
    expect(config.config).toMatchObject({ Env: ['PATH=/bin', 'E=2'] });
  });

  test('an SBOM is of stages and of the context too, where the Dockerfile says so', async () => {
    const text = (more: string): string =>
      [
        'ARG BUILDKIT_SBOM_SCAN_CONTEXT=true',
        'FROM base AS one',
        `ARG BUILDKIT_SBOM_SCAN_STAGE=${more}`,
        'RUN a',
        'FROM base AS two',
        'RUN b',
        'FROM scratch',
        'COPY --from=one /a /',
        'COPY --from=two /b /',
      ].join('\n');
    const scannedOf = ({ result }: Awaited<ReturnType<typeof build>>): string[] =>
      [...(result.scanned ?? [])].flatMap(([, graphs]) => [...graphs.keys()]);
    expect(scannedOf(await build(text('true')))).toEqual(['context', 'one']);
    const named = await build(text('other'));
    expect(scannedOf(named)).toEqual(['context']);
    // the builder is told, no command
    const exec = named.vertexes.find(({ op }) => op.kind === 'exec')?.op;
    expect(exec).toMatchObject({ value: { meta: { env: ['PATH=/bin'] } } });
  });

  test('a missing Dockerfile', async () => {
    const error = await failureOf('FROM base', { filename: 'other' });
    expect(error.message).toBe('failed to read dockerfile: open other: no such file or directory');
  });

  test('mounts', async () => {
    const { vertexes } = await build(
      [
        'FROM base AS tools',
        'FROM base',
        'RUN --mount=type=cache,target=/c,sharing=locked --mount=type=bind,from=tools,source=/bin,target=/t --mount=type=secret,id=s --mount=type=ssh --mount=type=tmpfs,target=/tmp,size=1m x',
      ].join('\n'),
    );
    expect(vertexes.at(-1)?.op).toMatchObject({
      value: {
        mounts: [
          { dest: '/' },
          { dest: '/c', mountType: 3, cacheOpt: { ID: '//c', sharing: 2 } },
          { dest: '/run/buildkit/ssh_agent.0', SSHOpt: { ID: '', mode: 0o600 } },
          { dest: '/run/secrets/s', secretOpt: { ID: 's', mode: 0o400, optional: true } },
          { dest: '/t', selector: '/bin', readonly: true },
          { dest: '/tmp', TmpfsOpt: { size: 1024 * 1024 } },
        ],
      },
    });
  });
});
