import { applyChanges } from '../../../src/dockerfile/image-changes';

// Every result and message is what dockerd 20.10 gives for `import --change`.
describe('applyChanges', () => {
  test.each<[string[], object]>([
    [['CMD echo hi'], { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    [['CMD ["a","b"]'], { Cmd: ['a', 'b'] }],
    [['CMD [a, b]'], { Cmd: ['/bin/sh', '-c', '[a, b]'] }],
    [['CMD'], { Cmd: ['/bin/sh', '-c'] }],
    [['CMD []'], { Cmd: [] }],
    [['cmd x', 'ENTRYPOINT ["y"]'], { Cmd: ['/bin/sh', '-c', 'x'], Entrypoint: ['y'] }],
    [['ENTRYPOINT'], { Entrypoint: null }],
    [['ENV a=1 b=2', 'ENV a=3'], { Env: ['a=3', 'b=2'] }],
    [['ENV a 1 2 3'], { Env: ['a=1 2 3'] }],
    [
      [`ENV a="x y" b='q w' c=e\\ f d="x\\"y" e="x\\ny"`],
      { Env: ['a=x y', 'b=q w', 'c=e f', 'd=x"y', 'e=x\\ny'] },
    ],
    [
      ['ENV a=1', 'ENV c=${a:-def} d=${a:+alt} e=x$a-y f="$a" g=$a_b h=${nope}'],
      { Env: ['a=1', 'c=1', 'd=alt', 'e=x1-y', 'f=1', 'g=', 'h='] },
    ],
    [['ENV a=1 b=$a'], { Env: ['a=1', 'b='] }],
    [['ENV a=1 \\\n# comment\n b=2'], { Env: ['a=1', 'b=2'] }],
    [
      ['EXPOSE 80/udp 90-92/tcp'],
      { ExposedPorts: { '80/udp': {}, '90/tcp': {}, '91/tcp': {}, '92/tcp': {} } },
    ],
    [['EXPOSE 8080:80 127.0.0.1:80:81'], { ExposedPorts: { '80/tcp': {}, '81/tcp': {} } }],
    [['LABEL a=1 b="c d"', 'LABEL e f'], { Labels: { a: '1', b: 'c d', e: 'f' } }],
    [['USER a b'], { User: 'a b' }],
    [['VOLUME /a /b'], { Volumes: { '/a': {}, '/b': {} } }],
    [['VOLUME ["/a","/b c"]'], { Volumes: { '/a': {}, '/b c': {} } }],
    [['WORKDIR /a', 'WORKDIR ../b'], { WorkingDir: '/b' }],
    [['WORKDIR "/a b"'], { WorkingDir: '/a b' }],
    [['ONBUILD run x  y'], { OnBuild: ['run x  y'] }],
    [['HEALTHCHECK NONE'], { Healthcheck: { Test: ['NONE'] } }],
    [
      ['HEALTHCHECK --interval=5s --timeout=1m30s --retries=3 --start-period=1s CMD ["a","b"]'],
      {
        Healthcheck: {
          Test: ['CMD', 'a', 'b'],
          Interval: 5e9,
          Timeout: 90e9,
          StartPeriod: 1e9,
          Retries: 3,
        },
      },
    ],
  ])('%j', (changes, expected) => {
    expect(applyChanges({}, changes)).toEqual(expected);
  });

  test.each([
    ['RUN x', 'run is not a valid change command'],
    ['STOPSIGNAL 9', 'stopsignal is not a valid change command'],
    ['', 'file with no instructions'],
    ['# only a comment', 'file with no instructions'],
    ['CMD ["a",1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
    ['ENV', 'ENV requires at least one argument'],
    ['ENV a', 'ENV must have two arguments'],
    ['ENV =x', 'ENV names can not be blank'],
    ['ENV a=1 b', `Syntax error - can't find = in "b". Must be of the form: name=value`],
    [
      "ENV a=it's",
      `failed to process "it's": unexpected end of statement while looking for matching single-quote`,
    ],
    [
      'LABEL a="b',
      `failed to process "\\"b": unexpected end of statement while looking for matching double-quote`,
    ],
    ['ENV f=${a', `failed to process "\${a": missing ':' in substitution`],
    ['EXPOSE x', 'Invalid containerPort: x'],
    ['EXPOSE 99999', 'Invalid containerPort: 99999'],
    ['EXPOSE 90-80', 'Invalid containerPort: 90-80'],
    ['EXPOSE 80/foo', 'Invalid proto: foo'],
    ['USER', 'USER requires exactly one argument'],
    ['VOLUME [""]', 'VOLUME specified can not be an empty string'],
    ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
    ['HEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
    ['HEALTHCHECK FOO x', 'Unknown type "FOO" in HEALTHCHECK (try CMD)'],
    ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
    ['HEALTHCHECK NONE x', 'HEALTHCHECK NONE takes no arguments'],
    ['HEALTHCHECK --foo=1 CMD x', 'Unknown flag: foo'],
    ['HEALTHCHECK --interval CMD x', 'Missing a value on flag: interval'],
    ['HEALTHCHECK --interval=5 CMD x', 'time: missing unit in duration "5"'],
    ['HEALTHCHECK --interval=0s CMD x', 'Interval "interval" cannot be less than 1ms'],
    ['HEALTHCHECK --retries=0 CMD x', '--retries must be at least 1 (not 0)'],
    ['HEALTHCHECK --retries=x CMD x', 'strconv.ParseInt: parsing "x": invalid syntax'],
  ])('refuses %j', (change, message) => {
    expect(() => applyChanges({}, [change])).toThrow(
      expect.objectContaining({ code: 'InvalidParameter', message }) as Error,
    );
  });

  test('no changes leave the configuration as it is', () => {
    const config = { Cmd: ['x'] };
    expect(applyChanges(config, [])).toBe(config);
  });
});
