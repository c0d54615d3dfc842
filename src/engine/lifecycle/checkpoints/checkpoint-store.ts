// Checkpoints on the host's disk: a directory each, complete or not there (docs/checkpoints.md).

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, systemErrorCode } from '../../../errors';
import { syncPath } from '../../../host/sync-path';
import type { PodContainerSpec } from '../../../translate/pod';
import type { SavedVm } from '../../../vm/contract/vm';
import type { RunFacts } from '../../../semantics/containers/container-state';

/** Raised when what is written changes its meaning. 1 has neither mounts nor files. */
const formatVersion = 2;
const readableVersions: readonly unknown[] = [1, formatVersion];

/** A volume or bind as the guest has it, whatever of the host it is. */
export interface SavedMount {
  target: string;
  /** The guest's name for it. */
  name: string;
  kind: 'files' | 'socket' | 'memory' | 'nfs' | 'tmpfs';
  readOnly: boolean;
}

/** checkpoint.json. Written last: a directory without it is none. */
export interface CheckpointRecord {
  formatVersion: number;
  containerId: string;
  /** Diff IDs of the image's layers, lowest first. */
  layers: string[];
  /** Disk ids of the saved VM: the container's own, and its layers in the order that they were plugged. */
  writableDiskId: string;
  layerDiskIds: string[];
  vm: SavedVm;
  run: Pick<RunFacts, 'pid' | 'channels'>;
  mounts?: SavedMount[];
  /** Output up to here was logged when the checkpoint was made. */
  logged: { stdout: number; stderr: number };
  /** What the processes were started with, without what another container may have otherwise. */
  spec: PodContainerSpec;
}

/** One that is there and whole, as a start needs it. */
export interface StoredCheckpoint {
  record: CheckpointRecord;
  statePath: string;
  diskPath: string;
  /** What the guest has open of volumes and binds; there if the VM shared any. */
  filesPath: string;
}

/** As dockerd has it for names of containers. It keeps a name from leading anywhere else, too. */
const validName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const nameCharacters = '[a-zA-Z0-9][a-zA-Z0-9_.-]';

/** No checkpoint's name. */
const unfinishedName = /^\..+\.new$/;

/** Throws dockerd's refusal. */
export function requireCheckpointName(name: string): void {
  if (validName.test(name)) return;
  throw new DaemonError('Internal', `Invalid checkpoint ID (${name}), only ${nameCharacters} are allowed`);
}

/** Where a new checkpoint is put together; `finish` makes it one, `discard` leaves nothing. */
export interface UnfinishedCheckpoint {
  statePath: string;
  diskPath: string;
  filesPath: string;
  finish(record: Omit<CheckpointRecord, 'formatVersion'>): Promise<void>;
  discard(): Promise<void>;
}

export class CheckpointStore {
  readonly #directory: string;
  /** What the client called the container: for messages. */
  readonly #ref: string;

  constructor(directory: string, ref: string) {
    this.#directory = directory;
    this.#ref = ref;
  }

  /** Throws when there is one of this name. What an earlier attempt has left goes. */
  async begin(name: string): Promise<UnfinishedCheckpoint> {
    const target = join(this.#directory, name);
    const found = await stat(target).catch(notThere);
    if (found !== undefined) {
      throw new DaemonError(
        'Internal',
        found.isDirectory()
          ? `checkpoint with name ${name} already exists for container ${this.#ref}`
          : `${target} exists and is not a directory`,
      );
    }
    const unfinished = join(this.#directory, `.${name}.new`);
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // --checkpoint-dir may name a directory in which others make some, too: theirs is not used
    await mkdir(unfinished, { mode: 0o700 });
    return {
      statePath: join(unfinished, 'state'),
      diskPath: join(unfinished, 'disk'),
      filesPath: join(unfinished, 'files'),
      finish: async (record) => {
        const path = join(unfinished, 'checkpoint.json');
        await writeFile(path, JSON.stringify({ ...record, formatVersion }), { mode: 0o600, flush: true });
        await rename(unfinished, target);
        await syncPath(this.#directory);
      },
      discard: () => rm(unfinished, { recursive: true, force: true }),
    };
  }

  /** What a daemon that died has left half made, or half removed. */
  async removeUnfinished(): Promise<void> {
    for (const name of (await readdir(this.#directory).catch(notThere)) ?? []) {
      if (unfinishedName.test(name)) await rm(join(this.#directory, name), { recursive: true, force: true });
    }
  }

  /** Names, sorted. */
  async list(isDefault: boolean): Promise<string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true }).catch(notThere);
    if (entries === undefined && !isDefault) {
      throw new DaemonError('Internal', `checkpoint  does not exist for container ${this.#ref}`);
    }
    return (entries ?? [])
      .filter((entry) => entry.isDirectory() && validName.test(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  /** Throws when there is none, one of another format, or one that another user has made: QEMU and file server would be given what that one wrote. */
  async find(name: string): Promise<StoredCheckpoint> {
    const directory = await this.#existing(name);
    const { uid } = await stat(directory);
    if (uid !== process.getuid?.())
      throw new DaemonError(
        'Forbidden',
        `${directory} belongs to user ${uid}, so it is no checkpoint of this daemon's`,
      );
    let record: CheckpointRecord;
    try {
      // Our own file; whoever can write it can write all the rest.
      record = JSON.parse(await readFile(join(directory, 'checkpoint.json'), 'utf8')) as CheckpointRecord;
    } catch (error) {
      throw new DaemonError('Internal', `${directory} is no checkpoint of Caisson`, { cause: error });
    }
    if (!readableVersions.includes(record.formatVersion)) {
      throw new DaemonError('Internal', `checkpoint ${name} was made by another version of Caisson`);
    }
    const path = (name: string): string => join(directory, name);
    return { record, statePath: path('state'), diskPath: path('disk'), filesPath: path('files') };
  }

  /** Throws when there is none. */
  async remove(name: string): Promise<void> {
    const directory = await this.#existing(name);
    // In one step: what is left of a removal that was cut short is not taken for a checkpoint.
    const doomed = join(this.#directory, `.${name}.new`);
    await rm(doomed, { recursive: true, force: true });
    await rename(directory, doomed);
    await rm(doomed, { recursive: true, force: true });
  }

  async #existing(name: string): Promise<string> {
    const directory = join(this.#directory, name);
    const found = validName.test(name) ? await stat(directory).catch(notThere) : undefined;
    if (found === undefined) {
      throw new DaemonError('Internal', `checkpoint ${name} does not exist for container ${this.#ref}`);
    }
    if (!found.isDirectory()) {
      throw new DaemonError('Internal', `${directory} exists and is not a directory`);
    }
    return directory;
  }
}

function notThere(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}
