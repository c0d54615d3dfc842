// Volumes are a later issue's: there are none, and none can be made.

import type { Filters, VolumeBackend } from '../api/v1.41/backend';
import type { Volume, VolumeListResponse } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import { pruneFilter } from './prune-filter';

function notYet(what: string): Promise<never> {
  return Promise.reject(new DaemonError('NotImplemented', `${what} is not supported yet`));
}

export class EngineVolumeBackend implements VolumeBackend {
  list(): Promise<VolumeListResponse> {
    return Promise.resolve({ Volumes: [], Warnings: null });
  }

  inspect(name: string): Promise<Volume> {
    return Promise.reject(new DaemonError('NotFound', `get ${name}: no such volume`));
  }

  create(): Promise<Volume> {
    return notYet('creating volumes');
  }

  remove(name: string, { force }: { force: boolean }): Promise<void> {
    if (force) return Promise.resolve();
    return Promise.reject(new DaemonError('NotFound', `get ${name}: no such volume`));
  }

  async prune(filters: Filters): Promise<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }> {
    // Refuses what Docker refuses.
    pruneFilter('volumes', filters);
    return Promise.resolve({ VolumesDeleted: [], SpaceReclaimed: 0 });
  }
}
