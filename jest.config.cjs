// Projects: unit (no QEMU), integration (boots VMs), stress (everything at once, and kills), web (the page in a
// browser: npm run test:web), kubernetes (a cluster of their own: npm run test:kubernetes), compat (a client of any DOCKER_HOST).
const onCluster = require('./test/compat/kubernetes-files.cjs');
const { leftOut } = require('./test/support/dear-files.cjs');

const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
  ],
};
const project = (name, extra = {}) => ({
  displayName: name,
  // not build/: whole Debians of test:packages lie there, mounted, with modules of the same names
  roots: ['src', 'web', 'test', 'scripts', 'packaging'].map((directory) => `<rootDir>/${directory}`),
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  testEnvironment: 'node',
  transform,
  testPathIgnorePatterns: ['/node_modules/', ...leftOut()],
  ...extra,
});
// Of whatever docker command a test starts: with a buildx plugin on the machine it would build otherwise than without.
process.env.DOCKER_BUILDKIT = '0';

// What takes minutes has to be asked for (docs/development.md).
const withLarge = process.env.CAISSON_COMPAT_LARGE !== undefined;

module.exports = {
  // a busy host is no failure
  testTimeout: 60_000,
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  projects: [
    project('unit'),
    project('integration', {
      globalSetup: '<rootDir>/test/integration/setup.ts',
      globalTeardown: '<rootDir>/test/integration/teardown.ts',
    }),
    project('stress'),
    project('web'),
    project('kubernetes', {
      globalSetup: '<rootDir>/test/kubernetes/harness/global-setup.ts',
      globalTeardown: '<rootDir>/test/kubernetes/harness/global-teardown.ts',
    }),
    project('compat', {
      ...(process.env.CAISSON_COMPAT_TARGET === 'kubernetes'
        ? { testMatch: onCluster(process.env.CAISSON_TEST_SHARD) }
        : {}),
      testPathIgnorePatterns: ['/node_modules/', ...leftOut(), ...(withLarge ? [] : ['/large\\.test\\.ts$'])],
      globalSetup: '<rootDir>/test/compat/harness/global-setup.ts',
      globalTeardown: '<rootDir>/test/compat/harness/global-teardown.ts',
    }),
  ],
};
