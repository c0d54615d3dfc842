// Files of cases that make sense on a cluster: what a run with CAISSON_COMPAT_TARGET=kubernetes takes.

/** Of a run of the main cases alone (CAISSON_TEST_SHARD=core). */
const core = ['containers/exec', 'containers/lifecycle', 'containers/logs', 'containers/run'];

const others = [
  'builds/build',
  'clients/compose',
  'clients/compose-services',
  'clients/sdk',
  'clients/testcontainers',
  'containers/copies',
  'containers/files',
  'containers/health',
  'containers/interactive',
  'containers/list',
  'containers/stats',
  'containers/terminal',
  'daemon/hostile',
  'daemon/leaks',
  'fields/config',
  'fields/host-config',
  'fields/resources',
  'fields/update',
  'images/archives',
  'images/images',
  'images/odd-archives',
  'images/registry',
  'networks/create',
  'networks/networks',
  'system/errors',
  'system/events',
  'system/system',
  'volumes/volumes',
];

/** Patterns for jest's testMatch, below the compat tests. */
module.exports = (shard) =>
  (shard === 'core' ? core : [...core, ...others]).map((file) => `<rootDir>/test/compat/${file}.test.ts`);

/** Of these `npm test` takes one beside the core, by its shard. */
const inTurn = ['containers/list', 'containers/stats', 'fields/config', 'networks/networks'];

/** What `npm test` takes with a shard of the long tail, as jest's --testPathPatterns. */
module.exports.patternsOf = (shard) => {
  const turn = shard === 'core' ? [] : [inTurn[(Number(shard) - 1) % inTurn.length]];
  return [...core, ...(shard === 'all' ? others : turn)].map((file) => `/test/compat/${file}\\.test\\.ts$`);
};
