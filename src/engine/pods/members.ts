// What starting, stopping and removing a Pod is for its containers: in which order, and what brings them back.

import { DaemonError, isDaemonError } from '../../errors';
import { log } from '../../log';
import { removeContainer, type RemoveNeeds } from '../lifecycle/remove';
import { startContainer, type StartNeeds } from '../lifecycle/start';
import { isActive } from '../../semantics/containers/container-state';
import { killAndWait, stopContainer, type StopNeeds } from '../lifecycle/stop';
import type { PodHandle, PodMember } from './directory';
import { isAlive } from './view';
import type { ContainerWaits } from '../../semantics/containers/container-wait';

/** Who waits for the end of an init container. */
interface InitWaits {
  readonly waits: Pick<ContainerWaits, 'wait'>;
}

/** Awaited around the steps of single containers. */
export interface MemberHooks {
  afterStart(member: PodMember): Promise<void>;
  /** Must not reject. */
  beforeStop(member: PodMember): Promise<void>;
}

/**
 * Starts them one after the other; an init container must have ended with 0 before the next one starts. Resolves with the VM
 * they have got. Those that run by then go on when it throws.
 */
export async function startMembers(
  engine: StartNeeds & InitWaits,
  pod: PodHandle,
  hooks: Pick<MemberHooks, 'afterStart'>,
  signal: AbortSignal,
): Promise<string> {
  let vmId = '';
  for (const member of pod.members) {
    throwIfGivenUp(pod, signal);
    const { container } = member;
    await container.operations.run(async () => {
      // A Docker client may have been faster.
      if (!isActive(container.state)) await startContainer(engine, container);
      if (isActive(container.state)) ({ vmId } = container.state);
    });
    if (member.role === 'init') await requireSuccess(engine, pod, member, signal);
    else await hooks.afterStart(member);
  }
  throwIfGivenUp(pod, signal);
  return vmId;
}

async function requireSuccess(
  engine: InitWaits,
  pod: PodHandle,
  { container, name }: PodMember,
  signal: AbortSignal,
): Promise<void> {
  const { StatusCode } = await engine.waits.wait(container, 'not-running', signal);
  if (StatusCode === 0) return;
  throw new DaemonError(
    'Internal',
    `Pod ${pod.name} can't start: its init container ${name} ended with ${StatusCode}`,
  );
}

function throwIfGivenUp(pod: PodHandle, signal: AbortSignal): void {
  if (signal.aborted) throw new DaemonError('Conflict', `the start of Pod ${pod.name} was given up`);
}

/**
 * Main containers at once, then the others, the last one first. Resolves when none of them runs, and what their ends lead to is
 * over, or `isOver` says so. Throws what a stop throws.
 */
export async function stopMembers(
  engine: StopNeeds,
  pod: PodHandle,
  hooks: Pick<MemberHooks, 'beforeStop'>,
  timeoutSeconds: number | undefined,
  isOver = new Promise<void>(() => undefined),
): Promise<void> {
  const stop = async (member: PodMember): Promise<void> => {
    if (!isAlive(member)) return;
    if (isActive(member.container.state)) await hooks.beforeStop(member);
    try {
      await stopContainer(engine, member.container, timeoutSeconds === undefined ? {} : { timeoutSeconds });
    } catch (error) {
      if (!isDaemonError(error, 'NotModified')) throw error; // it ended by itself
    }
  };
  await Promise.all(pod.members.filter(({ role }) => role === 'main').map(stop));
  for (const member of pod.members.filter(({ role }) => role !== 'main').reverse()) await stop(member);
  await Promise.race([atRest(pod), isOver]);
}

/** SIGKILL for all. Never throws. */
export async function killMembers(engine: StopNeeds, pod: PodHandle): Promise<void> {
  await Promise.all(
    pod.members
      .filter(isAlive)
      .map(({ container }) =>
        killAndWait(engine, container).catch((error: unknown) =>
          log.warn('container of a Pod could not be killed', { containerId: container.id, error }),
        ),
      ),
  );
  await atRest(pod);
}

/** What their ends have led to is over: they are out of the VM. */
async function atRest(pod: PodHandle): Promise<void> {
  await Promise.all(pod.members.map(({ container }) => container.operations.run(() => Promise.resolve())));
}

/** Tries all; throws the first failure. */
export async function removeMembers(
  engine: RemoveNeeds,
  members: readonly Pick<PodMember, 'container'>[],
  options: { volumes: boolean },
): Promise<void> {
  const removals = await Promise.allSettled(
    members.map(async ({ container }) => {
      // Gone already: by its own AutoRemove, or a Docker client.
      if (engine.registry.byId(container.id) === undefined) return;
      await removeContainer(engine, container.id, { force: true, volumes: options.volumes, link: false });
    }),
  );
  const failed = removals.find((removal) => removal.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
