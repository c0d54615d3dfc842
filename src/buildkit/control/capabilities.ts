// What we tell of ourselves: clients and frontends do without what isn't named, or refuse.

import type { Solver } from '../contract/solver';
import type { WorkerRecordInit } from '../messages/worker';

/** Of the bridge. */
const bridgeCapabilities = [
  'solve.base',
  'solve.inlinereturn',
  'resolveimage',
  'resolveimage.resolvemode',
  'readfile',
  'return',
  'returnmap',
  'readdir',
  'statfile',
  'importcaches',
  'proto.refarray',
  'reference.output',
  'frontend.inputs',
  'gateway.solve.metadata',
  'frontend.caps',
  'gateway.solve.evaluate',
  'gateway.evaluate',
  'gateway.warnings',
  'gateway.exec',
  'gateway.exec.extrahosts',
  'gateway.exec.secretenv',
  'gateway.exec.signals',
  'reference.attestations',
  'source.metaresolver',
];

export interface WorkerInfo {
  /** The same after a restart. */
  readonly id: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly version: string;
  /** Of the Dockerfile frontend. */
  readonly dockerfileVersion: string;
}

interface Capability {
  ID: string;
  Enabled: true;
}

const enabled = (ids: readonly string[]): Capability[] => ids.map((ID) => ({ ID, Enabled: true }));

export function frontendCapabilities(): Capability[] {
  return enabled(bridgeCapabilities);
}

export function graphCapabilities(solver: Solver): Capability[] {
  return enabled(solver.capabilities);
}

export function workerRecord(worker: WorkerInfo, solver: Solver): WorkerRecordInit {
  return {
    ID: worker.id,
    Labels: worker.labels,
    platforms: solver.platforms,
    BuildkitVersion: versionOf(worker),
  };
}

export function versionOf({
  version,
  dockerfileVersion,
}: WorkerInfo): NonNullable<WorkerRecordInit['BuildkitVersion']> {
  return { package: 'caisson', version, revision: '', dockerfileVersion };
}

/** As frontends in containers are told of workers, by their environment. */
export function workersJson({ id, labels, ...worker }: WorkerInfo, solver: Solver): string {
  const { package: name, version, revision } = versionOf({ id, labels, ...worker });
  return JSON.stringify([
    {
      id,
      labels: Object.fromEntries(labels),
      platforms: solver.platforms.map(({ OS, Architecture, Variant }) => ({
        architecture: Architecture,
        os: OS,
        ...(Variant === '' ? {} : { variant: Variant }),
      })),
      gcPolicy: null,
      buildkitVersion: { package: name, version, revision },
    },
  ]);
}
