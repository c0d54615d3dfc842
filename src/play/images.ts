// imagePullPolicy, and what runAsNonRoot asks of an image.

import { DaemonError, errorMessage, isDaemonError } from '../errors';
import type { ContainerPlan, PodPlan } from '../kubernetes/plan';
import { parseReference, serverHost } from '../registry/reference';
import type { PlayHost } from './host';

/** Resolves when every image is there, and may be run as asked for. */
export async function prepareImages(host: PlayHost, plan: PodPlan, signal: AbortSignal): Promise<void> {
  for (const container of plan.containers) {
    if (container.pullPolicy === 'Always' || !(await isThere(host, container))) {
      await pull(host, container, plan, signal);
    }
    if (container.runAsNonRoot && container.runAsUser === undefined) await requireNonRoot(host, container);
  }
}

async function isThere(host: PlayHost, { image, pullPolicy, name }: ContainerPlan): Promise<boolean> {
  try {
    await host.images.inspect(image);
    return true;
  } catch (error) {
    if (!isDaemonError(error, 'NotFound')) throw error;
    if (pullPolicy !== 'Never') return false;
    throw new DaemonError(
      'NotFound',
      `container ${name}: image ${image} is not there, and imagePullPolicy is Never`,
    );
  }
}

async function pull(
  host: PlayHost,
  { name, image, pullPolicy }: ContainerPlan,
  { pullCredentials }: PodPlan,
  signal: AbortSignal,
): Promise<void> {
  const { domain, tag, digest } = parseReference(image);
  const auth = pullCredentials.find(({ serveraddress = '' }) => registryOf(serveraddress) === domain);
  try {
    await host.images.pull(
      {
        fromImage: image,
        tag: tag === undefined && digest === undefined ? 'latest' : '',
        ...(auth === undefined ? {} : { auth }),
      },
      () => undefined,
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    const advice = pullPolicy === 'Always' ? '; imagePullPolicy IfNotPresent takes one that is here' : '';
    throw new DaemonError(
      isDaemonError(error) ? error.code : 'Internal',
      `container ${name}: image ${image} could not be pulled (imagePullPolicy ${pullPolicy}): ${errorMessage(error)}${advice}`,
      { cause: error },
    );
  }
}

/** Keys of a Docker configuration may be URLs. */
function registryOf(server: string): string {
  const host = serverHost(server);
  return host === 'index.docker.io' ? 'docker.io' : host;
}

async function requireNonRoot(host: PlayHost, { name, image }: ContainerPlan): Promise<void> {
  const { Config } = await host.images.inspect(image);
  const [user = ''] = (Config?.User ?? '').split(':');
  if (/^[0-9]+$/.test(user) && Number(user) !== 0) return;
  throw new DaemonError(
    'InvalidParameter',
    /^[0-9]*$/.test(user)
      ? `container ${name}: runAsNonRoot is set, and image ${image} runs as root`
      : `container ${name}: runAsNonRoot is set, and image ${image} has a user that is no number (${user})`,
  );
}
