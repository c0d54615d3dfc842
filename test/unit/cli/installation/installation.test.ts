import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePackages } from '../../../../src/cli/installation/debian-packages';
import { placesOf } from '../../../../src/cli/installation/places';
import { whatNow } from '../../../../src/cli/installation/up';
import { versionLine } from '../../../../src/cli/version';
import { readBuild } from '../../../../src/versions';
import { projectDir } from '../../../support/process/project-dir';

const build = { version: '1.2.3', commit: '0123456789abcdef', date: '2030-01-02T03:04:05.000Z' } as const;

describe('packages of Debian', () => {
  it('are read with the reason', () => {
    const text = '# comment\nrun   zstd   layers compressed with zstd\nbuild gcc  the agent\n\n';
    expect(parsePackages(text)).toEqual([{ name: 'zstd', why: 'layers compressed with zstd' }]);
  });

  it('have what the first container is made of', () => {
    const text = readFileSync(join(projectDir, 'scripts', 'packages.txt'), 'utf8');
    expect(parsePackages(text).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['qemu-system-x86', 'busybox-static']),
    );
  });
});

describe('places', () => {
  it('are the usual ones, or those of the environment', () => {
    expect(placesOf({}).socket).toBe('/run/caisson/caisson.sock');
    expect(placesOf({ CAISSON_RUN_DIR: '/x', CAISSON_ARGS: ' --debug  --accel tcg ' })).toMatchObject({
      socket: '/x/caisson.sock',
      daemonArgs: ['--debug', '--accel', 'tcg'],
    });
  });
});

describe('what is said after up', () => {
  it('is of docker where there is one, and of the page where it is served', () => {
    const text = whatNow({
      build: { ...build, packaging: 'checkout' },
      hasDocker: true,
      webUrl: 'http://127.0.0.1:8090/#t',
    });
    expect(text).toContain('  docker --context caisson run --rm caisson/hello\n');
    expect(text).toContain('  http://127.0.0.1:8090/#t\n');
    expect(text).toContain('`npm run down`');
  });

  it('is of caisson alone without', () => {
    const text = whatNow({ build: { ...build, packaging: 'npm' }, hasDocker: false, webUrl: undefined });
    expect(text).toContain('  caisson run --rm caisson/hello\n');
    expect(text).toContain('`caisson down`');
    expect(text).not.toContain('docker --context');
  });
});

describe('the version', () => {
  it('has commit and date', () => {
    expect(versionLine({ ...build, packaging: 'npm' })).toBe(
      'caisson 1.2.3, commit 0123456789ab, 2030-01-02\n',
    );
    expect(versionLine({ ...build, commit: '', packaging: 'npm' })).toBe('caisson 1.2.3, 2030-01-02\n');
  });

  it('of a checkout is that of its last commit', () => {
    expect(readBuild()).toMatchObject({
      packaging: 'checkout',
      date: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
    });
  });
});
