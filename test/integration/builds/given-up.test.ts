// Ctrl-C at whatever moment of a build: the newer docker command is interrupted when it first prints a certain line, and nothing of the
// build is left. Needs scripts/fetch-trixie.sh.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { projectDir } from '../../support/process/project-dir';

const next = join(projectDir, 'build', 'trixie', 'usr');
const isThere = existsSync(join(next, 'bin', 'docker'));
const slow = 900_000;
const contextBytes = 20_000_000;
/** Files of contents of two directories: of the Dockerfile's and the context's. */
const mostKept = 16;

(isThere ? describe : describe.skip)('ctrl-C', () => {
  const engine = useBusyboxDaemon('given-up');
  let context: string;

  beforeAll(() => {
    const plugins = join(engine.dir, 'config', 'cli-plugins');
    mkdirSync(plugins, { recursive: true });
    symlinkSync(join(next, 'libexec/docker/cli-plugins/docker-buildx'), join(plugins, 'docker-buildx'));
    context = join(engine.dir, 'context');
    mkdirSync(context);
    writeFileSync(
      join(context, 'Dockerfile'),
      [
        'FROM busybox AS one',
        'RUN --mount=type=cache,target=/c i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); done; date >>/c/f',
        'FROM busybox AS two',
        'COPY big /big',
        'RUN wc -c </big; echo summed',
        'FROM busybox',
        'COPY --from=one /etc/passwd /one',
        'COPY --from=two /big /two',
        'RUN ls -l /one /two; echo the last one',
      ].join('\n'),
    );
  });

  /** Interrupts the build at the first line that is like it; undefined: never. Its exit code. */
  async function build(
    tag: string,
    at: RegExp | undefined,
  ): Promise<{ code: number | null; output: string }> {
    writeFileSync(join(context, 'big'), randomBytes(contextBytes)); // nothing of it is there already
    const child = spawn(
      join(next, 'bin', 'docker'),
      ['--host', engine.daemon.host, 'build', '--progress', 'plain', '--no-cache', '-t', tag, context],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, DOCKER_CONFIG: join(engine.dir, 'config'), DOCKER_BUILDKIT: '1' },
      },
    );
    let output = '';
    child.stderr.on('data', (data: Buffer) => {
      output += data.toString();
      if (at?.test(output) === true) child.kill('SIGINT');
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, output };
  }

  const filesIn = (...names: string[]): string[] => {
    const directory = join(engine.daemon.dir, 'data', ...names);
    return existsSync(directory) ? readdirSync(directory) : [];
  };
  const left = (): unknown[] => [
    ...engine.daemon.qemuPids(),
    ...filesIn('disks').filter((name) => !name.startsWith('blank')),
    // what came of a context is kept for the next build of it
    ...filesIn('tmp').filter((name) => !name.startsWith('context-')),
    ...Object.keys(
      JSON.parse(engine.docker('network', 'inspect', 'bridge', '--format', '{{json .Containers}}')) as object,
    ),
    ...(engine.docker('ps', '-aq') === '' ? [] : ['a container']),
  ];

  test(
    'leaves nothing, whenever it comes',
    async () => {
      const moments = {
        'the Dockerfile is asked for': /load build definition/,
        'the base is looked up': /load metadata for/,
        'the context comes': /transferring context: [\d.]+MB/,
        'a step begins': /RUN wc -c/,
        'a step writes': /^#\d+ [\d.]+ line 3$/m,
        'a step has written its last line': /^#\d+ [\d.]+ summed$/m,
        'the last step ends': /^#\d+ [\d.]+ the last one$/m,
        'the image is made': /exporting layers/,
      };
      const codes: Record<string, number | null> = {};
      for (const [moment, line] of Object.entries(moments)) {
        const { code, output } = await build('given-up', line);
        codes[moment] = code;
        expect(output).toMatch(line);
        const until = Date.now() + slow / 4;
        while (left().length > 0 && Date.now() < until) await new Promise((done) => setTimeout(done, 100));
        expect({ moment, left: left() }).toEqual({ moment, left: [] });
        expect(filesIn('tmp').length).toBeLessThanOrEqual(mostKept);
      }
      // the last moments may come too late: then the image is there and whole
      expect(Object.values(codes).filter((code) => code === 0).length).toBeLessThanOrEqual(2);
      expect((await build('whole', undefined)).code).toBe(0);
      expect(engine.docker('run', '--rm', 'whole', 'sh', '-c', 'wc -c </two').trim()).toBe(
        String(contextBytes),
      );
    },
    slow,
  );
});
