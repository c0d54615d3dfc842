// What is left on disk of containers that are no more: a create or a removal that was cut short by the daemon's end.

import { readdir, rm } from 'node:fs/promises';
import { log } from '../../log';
import type { LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import { isContainerId } from '../../semantics/containers/container-names';
import type { ContainerRegistry } from '../core/container-registry';
import { containerDirectory, type DataRoot } from './remove';

/** Where something may be left of containers that are no more. */
export interface LeftoverNeeds extends DataRoot {
  readonly registry: Pick<ContainerRegistry, 'byId'>;
  readonly disks: Pick<WritableDiskStore, 'list' | 'remove'>;
  readonly layers: Pick<LayerStore, 'owners' | 'unreference'>;
}

/** Ids of containers that no record knows. */
export interface Leftovers {
  readonly disks: readonly string[];
  readonly owners: readonly string[];
  readonly directories: readonly string[];
}

/** To be asked before anyone can create a container: what comes later is no leftover. */
export async function findLeftovers(engine: LeftoverNeeds): Promise<Leftovers> {
  const isUnknown = (id: string): boolean => engine.registry.byId(id) === undefined;
  const directories = await readdir(containerDirectory(engine, '')).catch(() => []);
  return {
    disks: (await engine.disks.list()).filter(isUnknown),
    owners: engine.layers.owners().filter((owner) => isContainerId(owner) && isUnknown(owner)),
    directories: directories.filter(isUnknown),
  };
}

/** When no VM uses any of it. Logs what fails. */
export async function removeLeftovers(
  engine: LeftoverNeeds,
  { disks, owners, directories }: Leftovers,
): Promise<void> {
  for (const id of disks) {
    log.info('disk of no container is removed', { containerId: id });
    engine.layers.unreference(id);
    await engine.disks
      .remove(id)
      .catch((error: unknown) => log.error('disk could not be removed', { containerId: id, error }));
  }
  // A daemon that died between taking a container's layers and making its disk left these.
  for (const owner of owners) {
    log.info('layers of no container are released', { containerId: owner });
    engine.layers.unreference(owner);
  }
  for (const id of directories) {
    await rm(containerDirectory(engine, id), { recursive: true, force: true }).catch((error: unknown) =>
      log.error('directory could not be removed', { containerId: id, error }),
    );
  }
}
