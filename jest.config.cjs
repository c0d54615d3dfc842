// Three projects: unit (no QEMU), integration (boots VMs), compat (a client of any DOCKER_HOST).
const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
  ],
};
const project = (name, extra = {}) => ({
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  testEnvironment: 'node',
  transform,
  ...extra,
});
module.exports = {
  projects: [
    project('unit'),
    project('integration'),
    project('compat', {
      globalSetup: '<rootDir>/test/compat/harness/global-setup.ts',
      globalTeardown: '<rootDir>/test/compat/harness/global-teardown.ts',
    }),
  ],
};
