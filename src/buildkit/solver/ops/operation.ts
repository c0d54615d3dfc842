// What the solver knows of an operation: how it counts in keys, and how to run it.

import type { FileTree } from '../../../builder/file-tree';
import type { CacheRecordType } from '../../contract/cache-records';
import type { BuildHost } from '../../contract/host';
import type { LinuxResources } from '../../contract/llb';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import type { Snapshot } from '../../contract/source';
import type { CacheMounts } from '../cache/cache-mounts';
import type { ContentDigests, SelectedFile } from '../files/content-digests';
import type { LayerHolds, LayerTrees } from '../files/layer-trees';

/** What a step left: files, and the VM that has them mounted. */
export interface StepResult extends Omit<Snapshot, 'release'> {
  /** Equal for equal files made in the same way: what it counts by as an input. */
  readonly identity: string;
  readonly vm: { readonly buildId: string; readonly id: string } | undefined;
}

/** What all operations may use. */
export interface OperationTools {
  readonly host: BuildHost;
  readonly trees: LayerTrees;
  readonly digests: ContentDigests;
  readonly cacheMounts: CacheMounts;
}

/** One run of an operation. */
export interface RunContext extends OperationTools {
  /** The build whose sessions are asked: of those that want it, the first. */
  readonly scope: BuildScope;
  /** Those of its sessions that are there. */
  sessions(signal: AbortSignal): Promise<readonly SessionCaller[]>;
  /** Those of all builds that have the operation in their graphs now, whether they have come to it or not. */
  otherSessions(): readonly SessionCaller[];
  /** Layers that the results need are to be added. */
  readonly holds: LayerHolds;
  readonly resources: LinuxResources | undefined;
  log(stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
}

export interface OperationOutput {
  /** By the operation's outputs: diff IDs, lowest first. */
  readonly outputs: readonly (readonly string[])[];
  readonly vm?: string;
}

export interface Operation {
  /** Shown where the graph names it not. */
  readonly name: string;
  /** The operation without its inputs and without what doesn't count: equal bytes, equal work. */
  readonly keyBytes: Buffer;
  readonly recordType: CacheRecordType;
  /** It runs commands: so many at once as there are VMs for. */
  readonly isStep: boolean;
  /** Another step's VM will do. */
  readonly sharesVm?: boolean;
  /** Files of an input, if it counts by them; undefined: it counts by its identity. */
  selected(input: number, tree: () => Promise<FileTree>): Promise<readonly SelectedFile[]> | undefined;
  /** Inputs whose files aren't read stay where they are. Rejects in BuildKit's words. */
  run(inputs: readonly StepResult[], context: RunContext, signal: AbortSignal): Promise<OperationOutput>;
}
