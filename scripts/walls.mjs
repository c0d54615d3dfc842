// Who may import whom in src: a row for every folder, and for each file beside them, from the top floor down. A row names only
// rows that stand below it, so imports run one way. ESLint holds the code to it (eslint.config.mjs); changing what a row may
// import is an ADR. What each folder is for: docs/architecture.md.
//
//   imports   folders of ours it may use, besides the base
//   types     contracts of which it may know the types alone
//   modules   packages, and node:child_process, which nobody else may use
//   pure      no I/O and no clock: of Node's own modules it may use those for paths, bytes and text

import { readFileSync } from 'node:fs';

/** What everybody above may import. */
export const base = ['async', 'host', 'log', 'go', 'errors'];

/** What is moved out of a folder for others to see: files, or whole folders. */
export const contracts = [
  'api/v1/backend',
  'api/v1/types',
  'api/v1.41/backend',
  'network/network',
  'storage/contract',
  'vm/contract',
];

export const walls = {
  // the process
  main: {
    imports: [
      'cli',
      'cli/benchmark',
      'cli/client',
      'cli/installation',
      'cli/kubernetes',
      'daemon',
      'versions',
      'config',
    ],
    modules: ['commander'],
  },
  cli: {
    imports: [
      'cli/client',
      'cli/terminal',
      'daemon',
      'engine/logs',
      'vm/host',
      'vm/pool',
      'network',
      'network/addresses',
      'config',
      'versions',
    ],
    modules: ['commander', 'node:child_process'],
  },
  'cli/benchmark': {
    imports: ['api/v1', 'cli/client'],
    modules: ['dockerode', 'node:http'],
  },
  'cli/installation': {
    imports: ['cli/client', 'api/v1', 'vm/host', 'versions'],
    modules: ['commander', 'node:child_process'],
  },
  'cli/kubernetes': {
    imports: ['cli/client', 'cluster/install', 'cluster/client'],
    modules: ['commander', 'yaml'],
  },
  'cli/client': {
    imports: [
      'cli/terminal',
      'api/v1',
      'kubernetes/schema',
      'storage/disks',
      'storage/tar',
      'registry',
      'docker',
    ],
    modules: ['cli-table3', 'commander', 'dockerode', 'yaml', 'zod'],
  },
  'cli/terminal': { imports: [], modules: [] },
  daemon: {
    imports: [
      'semantics/builds',
      'cluster',
      'semantics/health',
      'semantics/events',
      'web',
      'api',
      'api/v1',
      'play',
      'engine/backends',
      'engine/pods',
      'engine/images',
      'engine/builds',
      'engine',
      'engine/lifecycle',
      'engine/vms',
      'engine/sessions',
      'engine/events',
      'engine/system',
      'engine/logs',
      'engine/core',
      'buildkit',
      'buildkit/frontend',
      'buildkit/solver',
      'buildkit/solver/exporters',
      'buildkit/history',
      'buildkit/session',
      'buildkit/contract',
      'storage',
      'network',
      'vm/pool',
      'vm/qemu',
      'vm/host',
      'versions',
      'config',
    ],
    types: ['api/v1.41/backend'],
    modules: ['express', 'node:child_process', 'prom-client'],
  },

  // HTTP
  web: {
    imports: ['api/v1.41', 'api/http', 'docker'],
    modules: ['zod'],
  },
  api: { imports: ['api/v1.41', 'api/http'], modules: ['express', 'http-proxy'] },
  'api/v1': { imports: ['api/http', 'docker'], modules: ['ajv/dist/2020', 'express'] },
  'api/v1.41': { imports: ['api/http', 'docker'], modules: ['express', 'ws'] },
  'api/http': { imports: [], modules: ['express'] },

  // Kubernetes manifests
  play: {
    imports: ['kubernetes', 'network/addresses', 'registry'],
    types: ['api/v1/backend', 'api/v1/types', 'api/v1.41/backend', 'storage/contract'],
  },

  // the engine, floor 9
  'engine/backends': {
    imports: [
      'semantics/streams',
      'semantics/health',
      'semantics/containers',
      'semantics/events',
      'semantics/filters',
      'semantics/images',
      'semantics/networks',
      'semantics/system',
      'semantics/views',
      'engine/images',
      'engine/lifecycle',
      'engine/create',
      'engine/files',
      'engine/sessions',
      'engine/views',
      'engine/networks',
      'engine/mounts',
      'engine',
      'engine/vms',
      'engine/events',
      'engine/system',
      'engine/logs',
      'engine/streams',
      'engine/core',
      'network',
      'storage/disks',
      'registry',
      'versions',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract', 'vm/contract'],
  },
  // floor 8
  'engine/images': {
    imports: [
      'semantics/containers',
      'semantics/create',
      'semantics/filters',
      'semantics/images',
      'engine/lifecycle',
      'engine/create',
      'engine/files',
      'engine',
      'engine/vms',
      'engine/system',
      'engine/core',
      'builder',
      'dockerfile',
      'storage/layers',
      'storage/tar',
      'registry',
      'versions',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'engine/builds': {
    imports: [
      'semantics/builds',
      'semantics/containers',
      'semantics/create',
      'engine/create',
      'engine/files',
      'engine/networks',
      'engine',
      'engine/vms',
      'engine/core',
      'buildkit/contract',
      'builder',
      'translate',
      'storage/tar',
      'network',
      'registry',
      'vm/contract',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'engine/pods': {
    imports: [
      'semantics/containers',
      'engine/lifecycle',
      'engine/lifecycle/entrances',
      'engine/create',
      'engine/views',
      'engine/networks',
      'engine',
      'engine/vms',
      'engine/core',
      'docker',
    ],
    types: ['api/v1/backend', 'api/v1/types', 'vm/contract'],
  },
  // floor 7
  'engine/lifecycle': {
    imports: [
      'semantics/streams',
      'semantics/containers',
      'semantics/create',
      'semantics/events',
      'semantics/filters',
      'semantics/networks',
      'engine/lifecycle/entrances',
      'engine/lifecycle/checkpoints',
      'engine/create',
      'engine/networks',
      'engine/mounts',
      'engine',
      'engine/vms',
      'engine/logs',
      'engine/streams',
      'engine/core',
      'translate',
      'storage/disks',
      'vm/contract',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'engine/lifecycle/entrances': {
    imports: [
      'semantics/containers',
      'semantics/events',
      'engine/lifecycle/checkpoints',
      'engine/networks',
      'engine/mounts',
      'engine/vms',
      'engine/core',
      'translate',
      'config',
    ],
    types: ['storage/contract', 'vm/contract'],
  },
  'engine/lifecycle/checkpoints': {
    imports: [
      'semantics/containers',
      'engine/mounts',
      'engine/core',
      'translate',
      'storage/disks',
      'config',
      'docker',
    ],
    types: ['vm/contract'],
  },
  // floor 6
  'engine/create': {
    imports: [
      'semantics/containers',
      'semantics/create',
      'semantics/images',
      'engine/networks',
      'engine/mounts',
      'engine/logs',
      'engine/core',
      'translate',
      'dockerfile',
      'network',
      'network/addresses',
      'registry',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'engine/files': {
    imports: [
      'semantics/files',
      'semantics/containers',
      'semantics/events',
      'engine/networks',
      'engine/mounts',
      'engine',
      'engine/vms',
      'engine/streams',
      'engine/core',
      'translate',
      'storage/layers',
      'storage/tar',
      'vm/agent',
      'vm/contract',
      'docker',
    ],
  },
  'engine/sessions': {
    imports: [
      'semantics/streams',
      'semantics/health',
      'semantics/containers',
      'semantics/events',
      'engine/networks',
      'engine/vms',
      'semantics/logs',
      'engine/streams',
      'engine/core',
      'translate',
      'docker',
    ],
    types: ['api/v1.41/backend', 'vm/contract'],
  },
  'engine/views': {
    imports: [
      'semantics/containers',
      'semantics/events',
      'semantics/views',
      'engine/networks',
      'engine',
      'engine/vms',
      'engine/system',
      'engine/core',
      'network',
      'vm/contract',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  // floor 5
  'engine/networks': {
    imports: [
      'semantics/containers',
      'semantics/create',
      'semantics/events',
      'semantics/networks',
      'engine/vms',
      'engine/core',
      'translate',
      'network',
      'config',
      'docker',
    ],
    types: ['vm/contract'],
  },
  'engine/mounts': {
    imports: [
      'semantics/containers',
      'semantics/create',
      'semantics/events',
      'engine',
      'engine/vms',
      'engine/core',
      'translate',
      'storage/disks',
      'vm/contract',
      'docker',
    ],
  },
  // floor 4
  engine: {
    imports: ['semantics/streams', 'semantics/containers', 'engine/vms', 'engine/streams', 'engine/core'],
    types: ['vm/contract'],
  },
  // floor 3
  'engine/vms': {
    imports: [
      'semantics/containers',
      'semantics/create',
      'engine/streams',
      'engine/core',
      'translate',
      'network',
      'vm/contract',
      'config',
    ],
    types: ['storage/contract'],
  },
  // floor 2
  'engine/events': { imports: ['engine/core', 'docker'], types: ['api/v1.41/backend'] },
  'engine/system': {
    imports: ['semantics/system', 'engine/core', 'storage/images', 'versions', 'config', 'docker'],
    types: ['storage/contract', 'vm/contract'],
  },
  'engine/streams': {
    imports: ['semantics/streams', 'semantics/logs', 'engine/core', 'vm/agent', 'docker'],
    types: ['vm/contract'],
  },
  'engine/logs': {
    imports: ['semantics/containers', 'engine/logs/remote', 'semantics/logs', 'engine/core'],
    types: ['api/v1.41/backend'],
  },
  'engine/logs/remote': { imports: ['semantics/logs', 'engine/core'], modules: ['@msgpack/msgpack'] },
  // floor 1
  'engine/core': {
    imports: [
      'semantics/logs',
      'semantics/containers',
      'semantics/events',
      'network',
      'storage/disks',
      'vm/contract',
      'config',
      'docker',
    ],
    types: ['api/v1/types', 'storage/contract'],
  },

  // the cluster
  cluster: {
    imports: [
      'cluster/builds',
      'cluster/system',
      'cluster/keeper',
      'cluster/streams',
      'cluster/containers',
      'cluster/layers',
      'cluster/images',
      'cluster/volumes',
      'cluster/networks',
      'cluster/supervisor',
      'cluster/records',
      'cluster/client',
      'semantics/containers',
      'registry',
      'versions',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'network/network'],
  },
  'cluster/install': { imports: ['cluster/client', 'cluster/records'] },
  'cluster/builds': {
    imports: [
      'cluster/streams',
      'cluster/networks',
      'cluster/containers',
      'cluster/layers',
      'cluster/images',
      'cluster/supervisor',
      'cluster/records',
      'cluster/client',
      'cluster/contract',
      'semantics/builds',
      'semantics/create',
      'semantics/containers',
      'semantics/images',
      'buildkit/contract',
      'builder',
      'translate',
      'storage',
      'storage/images',
      'storage/layers',
      'storage/transfers',
      'storage/tar',
      'registry',
      'versions',
      'vm/contract',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
    modules: ['@kubernetes/client-node'],
  },
  'cluster/streams': {
    imports: [
      'cluster/containers',
      'cluster/records',
      'cluster/supervisor',
      'cluster/contract',
      'semantics/streams',
      'semantics/logs',
      'semantics/files',
      'semantics/views',
      'semantics/containers',
      'translate',
      'storage/layers',
      'storage/tar',
      'vm/contract',
      'docker',
    ],
    types: ['api/v1.41/backend'],
  },
  'cluster/system': {
    imports: [
      'semantics/system',
      'semantics/images',
      'cluster/containers',
      'cluster/client',
      'versions',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'cluster/keeper': {
    imports: [
      'cluster/containers',
      'cluster/networks',
      'cluster/records',
      'cluster/client',
      'cluster/contract',
      'semantics/containers',
      'semantics/health',
      'translate',
      'docker',
    ],
  },
  'cluster/containers': {
    imports: [
      'kubernetes',
      'cluster/supervisor',
      'cluster/records',
      'cluster/client',
      'cluster/contract',
      'semantics/networks',
      'semantics/logs',
      'semantics/views',
      'semantics/events',
      'semantics/create',
      'semantics/containers',
      'semantics/filters',
      'semantics/images',
      'translate',
      'registry',
      'vm/contract',
      'config',
      'docker',
    ],
    types: ['api/v1.41/backend'],
  },
  'cluster/volumes': {
    imports: [
      'cluster/contract',
      'semantics/create',
      'semantics/containers',
      'semantics/filters',
      'translate',
      'docker',
    ],
    types: ['api/v1.41/backend'],
  },
  'cluster/networks': {
    imports: [
      'cluster/supervisor',
      'cluster/records',
      'cluster/client',
      'cluster/contract',
      'semantics/networks',
      'semantics/containers',
      'semantics/filters',
      'network',
      'docker',
      'config',
    ],
    types: ['api/v1.41/backend'],
    modules: ['@kubernetes/client-node'],
  },
  'cluster/records': {
    imports: ['cluster/client', 'cluster/contract', 'semantics/events', 'semantics/containers', 'docker'],
  },
  'cluster/client': { imports: ['config'], modules: ['@kubernetes/client-node'] },
  'cluster/contract': {
    imports: ['semantics/containers', 'docker', 'config'],
    types: ['network/network', 'storage/contract'],
  },
  'cluster/layers': {
    imports: [
      'cluster/images',
      'semantics/images',
      'storage/archives',
      'storage/images',
      'storage/layers',
      'storage/transfers',
      'registry',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'cluster/images': {
    imports: [
      'semantics/images',
      'semantics/filters',
      'storage/images',
      'storage/transfers',
      'registry',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'cluster/supervisor': { imports: ['vm/contract'], modules: ['@kubernetes/client-node'] },

  // Kubernetes' own forms
  kubernetes: {
    pure: true,
    imports: ['kubernetes/schema', 'docker'],
    types: ['api/v1/types'],
    modules: ['yaml'],
  },
  'kubernetes/schema': { pure: true, imports: [], modules: ['zod'] },

  // Docker's semantics, whatever runs containers
  'semantics/builds': {
    imports: [
      'semantics/containers',
      'buildkit',
      'buildkit/contract',
      'builder',
      'translate',
      'registry',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract', 'vm/contract'],
  },
  'semantics/images': {
    imports: [
      'semantics/create',
      'semantics/containers',
      'semantics/filters',
      'dockerfile',
      'registry',
      'docker',
    ],
    types: ['api/v1.41/backend', 'storage/contract'],
  },
  'semantics/networks': {
    imports: ['semantics/containers', 'semantics/filters', 'docker'],
    types: ['api/v1.41/backend', 'network/network'],
  },
  'semantics/system': {
    imports: ['storage/images', 'versions', 'config', 'docker'],
    types: ['storage/contract'],
  },
  'semantics/views': {
    imports: ['semantics/containers', 'semantics/filters', 'docker'],
    types: ['api/v1.41/backend', 'network/network', 'vm/contract'],
  },
  'semantics/streams': {
    imports: ['semantics/logs', 'semantics/containers', 'docker'],
    types: ['api/v1.41/backend'],
  },
  'semantics/logs': { imports: ['semantics/containers'], types: ['api/v1.41/backend'] },
  'semantics/files': { pure: true, imports: ['semantics/containers', 'docker'] },
  'semantics/health': { imports: ['semantics/events', 'semantics/containers', 'docker'] },
  'semantics/events': {
    imports: ['semantics/filters', 'docker'],
    types: ['api/v1.41/backend'],
  },
  'semantics/create': {
    imports: ['translate', 'dockerfile', 'network/addresses', 'config', 'docker'],
  },
  'semantics/containers': {
    imports: ['vm/contract', 'translate', 'docker'],
    types: ['network/network'],
  },
  'semantics/filters': { imports: ['docker'], types: ['api/v1.41/backend', 'storage/contract'] },

  // BuildKit's protocol, and the classic builder
  buildkit: {
    imports: [
      'buildkit/gateway',
      'buildkit/control',
      'buildkit/history',
      'buildkit/session',
      'buildkit/contract',
      'buildkit/messages',
      'buildkit/wire',
      'builder',
    ],
  },
  'buildkit/gateway': {
    imports: [
      'buildkit/control',
      'buildkit/frontend/options',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'buildkit/wire',
      'registry',
    ],
  },
  'buildkit/control': {
    imports: [
      'buildkit/history',
      'buildkit/attestations',
      'buildkit/session',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'buildkit/wire',
      'builder',
    ],
  },
  'buildkit/frontend': {
    imports: [
      'buildkit/frontend/answers',
      'buildkit/frontend/conversion',
      'buildkit/frontend/contexts',
      'buildkit/frontend/options',
      'buildkit/frontend/lint',
      'buildkit/frontend/text',
      'buildkit/contract',
      'buildkit/messages',
      'registry',
    ],
  },
  'buildkit/frontend/answers': {
    imports: [
      'buildkit/frontend/conversion',
      'buildkit/frontend/stages',
      'buildkit/frontend/lint',
      'buildkit/frontend/syntax',
      'buildkit/frontend/words',
      'buildkit/frontend/text',
      'buildkit/contract',
    ],
  },
  'buildkit/frontend/conversion': {
    imports: [
      'buildkit/frontend/contexts',
      'buildkit/frontend/graph',
      'buildkit/frontend/stages',
      'buildkit/frontend/image',
      'buildkit/frontend/lint',
      'buildkit/frontend/options',
      'buildkit/frontend/syntax',
      'buildkit/frontend/text',
      'buildkit/contract',
      'buildkit/messages',
    ],
  },
  'buildkit/frontend/contexts': {
    imports: [
      'buildkit/frontend/graph',
      'buildkit/frontend/image',
      'buildkit/frontend/options',
      'buildkit/frontend/text',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'registry',
    ],
  },
  'buildkit/frontend/graph': {
    imports: [
      'buildkit/frontend/stages',
      'buildkit/frontend/options',
      'buildkit/frontend/text',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'buildkit/wire',
    ],
  },
  'buildkit/frontend/stages': {
    pure: true,
    imports: [
      'registry',
      'buildkit/frontend/image',
      'buildkit/frontend/lint',
      'buildkit/frontend/options',
      'buildkit/frontend/syntax',
      'buildkit/frontend/words',
      'buildkit/frontend/text',
      'buildkit/contract',
    ],
  },
  'buildkit/frontend/image': { pure: true, imports: ['buildkit/contract'] },
  'buildkit/frontend/lint': {
    pure: true,
    imports: ['buildkit/frontend/syntax', 'buildkit/frontend/text'],
  },
  'buildkit/frontend/options': {
    pure: true,
    imports: [
      'buildkit/frontend/syntax',
      'buildkit/frontend/text',
      'buildkit/contract',
      'buildkit/messages',
      'registry',
    ],
  },
  'buildkit/frontend/syntax': {
    pure: true,
    imports: ['buildkit/frontend/words', 'buildkit/frontend/text', 'dockerfile'],
  },
  'buildkit/frontend/words': { pure: true, imports: ['buildkit/frontend/text'] },
  'buildkit/frontend/text': {
    pure: true,
    imports: ['buildkit/contract', 'buildkit/messages', 'dockerfile'],
  },
  'buildkit/history': { imports: ['buildkit/contract', 'buildkit/messages', 'buildkit/wire'] },
  'buildkit/solver': {
    imports: [
      'buildkit/solver/remote-cache',
      'buildkit/solver/sources',
      'buildkit/solver/ops',
      'buildkit/solver/cache',
      'buildkit/solver/files',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'builder',
      'registry',
    ],
  },
  'buildkit/solver/exporters': {
    imports: [
      'buildkit/attestations',
      'buildkit/solver/remote-cache',
      'buildkit/solver/delivery',
      'buildkit/solver/sources',
      'buildkit/solver/files',
      'buildkit/llb',
      'buildkit/contract',
      'builder',
      'storage/tar',
      'registry',
    ],
    types: ['storage/contract'],
  },
  'buildkit/solver/remote-cache': {
    imports: ['buildkit/solver/delivery', 'buildkit/llb', 'buildkit/contract', 'registry'],
  },
  'buildkit/solver/delivery': {
    imports: ['buildkit/llb', 'buildkit/contract', 'registry'],
    types: ['storage/contract'],
  },
  'buildkit/attestations': {
    imports: ['buildkit/llb', 'buildkit/contract', 'buildkit/messages', 'registry'],
  },
  'buildkit/solver/sources': {
    imports: ['buildkit/solver/files', 'buildkit/contract', 'buildkit/messages', 'builder'],
  },
  'buildkit/solver/ops': {
    imports: [
      'buildkit/solver/cache',
      'buildkit/solver/files',
      'buildkit/llb',
      'buildkit/contract',
      'buildkit/messages',
      'builder',
    ],
  },
  'buildkit/solver/cache': { imports: ['buildkit/contract'] },
  'buildkit/solver/files': {
    imports: ['buildkit/contract', 'builder'],
    types: ['storage/contract'],
  },
  'buildkit/session': { imports: ['buildkit/contract', 'buildkit/messages', 'buildkit/wire'] },
  'buildkit/llb': { imports: ['buildkit/contract', 'buildkit/messages', 'buildkit/wire'] },
  'buildkit/contract': { imports: ['buildkit/messages', 'builder'], types: ['storage/contract'] },
  'buildkit/messages': { imports: ['buildkit/wire'] },
  'buildkit/wire': { imports: [], modules: ['@bufbuild/protobuf/wire'] },
  builder: {
    imports: [
      'translate',
      'dockerfile',
      'storage/archives',
      'storage/transfers',
      'storage/layers',
      'storage/tar',
      'registry',
      'docker',
    ],
    types: ['storage/contract'],
    modules: ['@balena/dockerignore', 'node:child_process'],
  },
  translate: { pure: true, imports: ['docker'], types: ['vm/contract'] },

  // storage
  storage: {
    imports: [
      'storage/archives',
      'storage/transfers',
      'storage/images',
      'storage/layers',
      'storage/disks',
      'storage/documents',
      'registry',
      'docker',
    ],
    types: ['storage/contract'],
  },
  'storage/archives': {
    imports: [
      'storage/transfers',
      'storage/images',
      'storage/layers',
      'storage/tar',
      'dockerfile',
      'registry',
      'docker',
    ],
    types: ['storage/contract'],
  },
  'storage/transfers': {
    imports: ['storage/images', 'storage/layers', 'registry', 'docker'],
    types: ['storage/contract'],
  },
  'storage/images': { imports: ['storage/layers', 'registry', 'docker'], types: ['storage/contract'] },
  'storage/layers': {
    imports: ['storage/tar', 'registry'],
    types: ['storage/contract'],
    modules: ['node:child_process'],
  },
  'storage/tar': { imports: [] },
  'storage/disks': { imports: [], types: ['storage/contract'] },
  'storage/documents': { imports: [], types: ['storage/contract'], modules: ['better-sqlite3'] },

  // the network
  network: {
    imports: ['network/addresses'],
    types: ['storage/contract'],
    modules: ['node:child_process', 'split2'],
  },
  'network/netd': { imports: ['network/addresses'], modules: ['dns-packet', 'split2'] },
  'network/addresses': { imports: [] },

  // VMs
  'vm/pool': {
    imports: ['vm/qemu', 'vm/agent', 'vm/file-server', 'vm/host', 'config'],
    types: ['vm/contract'],
  },
  'vm/qemu': {
    imports: ['vm/agent', 'vm/file-server', 'vm/host', 'vm/contract', 'config'],
    modules: ['node:child_process', 'split2'],
  },
  'vm/agent': { imports: ['vm/contract'] },
  'vm/file-server': { imports: [], types: ['vm/contract'], modules: ['node:child_process', 'split2'] },
  'vm/host': { imports: [], types: ['vm/contract'] },
  'vm/contract': { pure: true, imports: [] },

  // vocabulary
  'storage/contract': { pure: true, imports: ['registry', 'docker'] },
  dockerfile: { pure: true, imports: ['docker'] },
  registry: { imports: [] },
  versions: { imports: ['config', 'docker'], modules: ['node:child_process'] },
  docker: { pure: true, imports: [] },
  config: { imports: [] },

  // the base
  async: { imports: [] },
  host: { imports: [], modules: ['node:child_process'] },
  log: { imports: [] },
  go: { pure: true, imports: [], modules: ['re2js'] },
  errors: { imports: [] },
};

/** The web page: it runs in browsers, and of src it may know the types that its server and the APIs answer with. */
const page = {
  types: ['docker/types', 'api/v1/types', 'web/types'],
  modules: [
    'preact',
    'preact/hooks',
    '@preact/signals',
    'uplot',
    '@xterm/xterm',
    '@xterm/addon-fit',
    '@dagrejs/dagre',
  ],
};

function pageComplaint({ to, specifier, typeOnly }) {
  if (to === undefined) {
    const isFree = typeOnly || specifier.endsWith('.css') || page.modules.includes(specifier);
    return isFree ? undefined : `web may not import ${specifier} (the page, in ${tableFile})`;
  }
  if (to.startsWith('web/src/')) return undefined;
  const path = to.replace(/^src\//, '').replace(/\.ts$/, '');
  if (!page.types.includes(path)) return `web may not import ${path} (the page, in ${tableFile})`;
  return typeOnly ? undefined : `web may import types alone of ${path} (the page, in ${tableFile})`;
}

const pureModules = ['node:buffer', 'node:path', 'node:util'];
const tableFile = 'scripts/walls.mjs';
const tableLines = readFileSync(new URL(import.meta.url), 'utf8').split('\n');

/** `engine/core may not import express (its row: scripts/walls.mjs:57)` */
function refusal(row, what) {
  const line = tableLines.findIndex(
    (text) => text.startsWith(`  '${row}': {`) || text.startsWith(`  ${row}: {`),
  );
  return `${row} may not import ${what} (its row: ${tableFile}:${line + 1})`;
}

/** The row of a file of src: its folder, or itself when it lies in none. */
export function rowOf(file) {
  const path = file.replace(/^src\//, '').replace(/\.ts$/, '');
  return path.includes('/') ? path.replace(/\/[^/]*$/, '') : path;
}

/**
 * What is wrong with an import, or undefined. `to` is the imported file of src; undefined for a module, which is then named by
 * `specifier`. Both files by their path from the project's folder.
 */
export function complaint({ from, to, specifier, typeOnly }) {
  if (from.startsWith('web/')) return pageComplaint({ to, specifier, typeOnly });
  const row = rowOf(from);
  const { imports = [], types = [], modules = [], pure = false } = walls[row] ?? {};
  if (walls[row] === undefined) return `src/${row} has no row in ${tableFile}`;
  if (to === undefined) {
    const isFree = pure ? pureModules.includes(specifier) : /^node:(?!child_process$)/.test(specifier);
    if (isFree || typeOnly || modules.includes(specifier)) return undefined;
    return refusal(row, specifier);
  }
  const target = rowOf(to);
  const isBelow = !base.includes(row) || base.indexOf(target) > base.indexOf(row);
  if (target === row || imports.includes(target) || (base.includes(target) && isBelow)) return undefined;
  const path = to.replace(/^src\//, '').replace(/\.ts$/, '');
  const contract = types.find((name) => name === path || name === target);
  if (contract === undefined) return refusal(row, target);
  return typeOnly ? undefined : refusal(row, `more of ${contract} than types`);
}
