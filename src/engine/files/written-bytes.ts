// What a running container has written, counted by its guest: for `docker ps --size` and the like.

import { within } from '../../async/deadline';
import type { Container } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import { readJob, type FileJobs } from '../streams/file-jobs';
import { requirePod, type PodPlaces } from '../vms/guest-access';

/** For a hundred thousand files; one that waits for room on the host's disk doesn't answer at all. */
const countTimeoutMs = 10_000;
const maxNumberBytes = 32;

/** Has the guest of a running container count. */
export async function guestWrittenBytes(
  engine: PodPlaces & { readonly fileJobs: Pick<FileJobs, 'start'> },
  container: Container,
): Promise<number | undefined> {
  if (!isActive(container.state)) return undefined;
  const given = new AbortController();
  try {
    const { agent } = (await requirePod(engine, container)).vm;
    const counting = engine.fileJobs
      .start(agent, container.id, { kind: 'usage' }, given.signal)
      .then((job) => readJob(job, maxNumberBytes));
    const bytes = Number((await within(counting, countTimeoutMs, { clock: agent.clock })).toString());
    return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
  } catch {
    given.abort();
    return undefined;
  }
}
