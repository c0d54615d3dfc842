// docker diff.

import type { FilesystemChange } from '../../docker/types';
import { cleanPath } from '../../translate/container-to-pod';
import { withFiles, type FileJobAccess } from './container-files';
import type { Container } from '../core/container-registry';
import { readJob } from '../streams/file-jobs';

/** Half a million paths of usual length. */
const maxListBytes = 64 * 1024 * 1024;
const kinds: Readonly<Record<string, 0 | 1 | 2>> = { C: 0, A: 1, D: 2 };

export async function containerChanges(
  engine: FileJobAccess,
  container: Container,
): Promise<FilesystemChange[] | null> {
  const { signal } = new AbortController();
  const list = await withFiles(engine, container, async (agent) =>
    readJob(await engine.fileJobs.start(agent, container.id, { kind: 'changes' }, signal), maxListBytes),
  );
  const changes = list
    .toString()
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => ({ Path: record.slice(1), Kind: kinds[record.charAt(0)] ?? 0 }));
  // The one who looks has made them: dockerd does at the first start.
  const shown =
    container.state.kind === 'created'
      ? withoutMountPoints(changes, mountTargets(container.record))
      : changes;
  return shown.length === 0 ? null : shown;
}

/** Destinations of everything that is mounted into the container. */
function mountTargets({ mounts, hostConfig }: Container['record']): string[] {
  return [
    ...mounts.map((mount) => mount.Destination),
    ...Object.keys(hostConfig.Tmpfs ?? {}),
    ...(hostConfig.Mounts ?? []).map((mount) => mount.Target ?? ''),
  ].map(cleanPath);
}

/** Without `targets`, and without the directories that lead to them and have nothing else that changed. */
export function withoutMountPoints(
  changes: readonly FilesystemChange[],
  targets: readonly string[],
): FilesystemChange[] {
  const leadsTo = (path: string, to: string): boolean => to.startsWith(`${path}/`);
  const others = changes.filter(
    ({ Path }) => !targets.includes(Path) && !targets.some((target) => leadsTo(Path, target)),
  );
  return changes.filter(
    (change) =>
      others.includes(change) ||
      (!targets.includes(change.Path) && others.some(({ Path }) => leadsTo(change.Path, Path))),
  );
}
