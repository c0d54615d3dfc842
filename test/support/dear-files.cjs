// Files of tests that cost half a minute of CPU time and more. A run that takes one shard of the long tail takes half of them:
// `odd` with the shards 1, 3, 5 and 7, `even` with the others, balanced by what they cost (docs/development.md). A run of every
// case has both halves, one of the main cases alone has none.

const dear = {
  odd: [
    'integration/builds/steps', // 68 CPU seconds
    'integration/daemon/play', // 65
    'integration/daemon/checkpoint-volumes',
    'integration/daemon/bulk-data', // 42
    'integration/daemon/known-files',
    'integration/daemon/walkthrough',
    'integration/builds/given-up',
    'compat/clients/testcontainers',
    'kubernetes/clients',
    'kubernetes/deployment',
    'kubernetes/networks',
  ],
  even: [
    'integration/builds/frontends',
    'integration/daemon/pods', // 64
    'integration/daemon/host-network', // 64
    'integration/daemon/checkpoint', // 55
    'integration/daemon/image-mounts',
    'integration/daemon/host-disk-full',
    'compat/daemon/nested-engine',
    'compat/buildkit/languages',
    'kubernetes/builds',
    'kubernetes/crowd',
    'kubernetes/faults',
    'kubernetes/made-images',
  ],
};

/** Patterns of the files that a run of this shard (CAISSON_TEST_SHARD) leaves out; none without one. */
function leftOut(shard = process.env.CAISSON_TEST_SHARD ?? 'all') {
  const files =
    {
      all: [],
      core: [...dear.odd, ...dear.even],
    }[shard] ?? (Number(shard) % 2 === 1 ? dear.even : dear.odd);
  return files.map((file) => `/test/${file}\\.test\\.ts$`);
}

module.exports = { dear, leftOut };
