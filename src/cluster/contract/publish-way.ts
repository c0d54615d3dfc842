// How a container's ports are published: as its label asks, or as the operator does.

import type { PublishWay } from '../../config';
import { DaemonError } from '../../errors';

const publishLabel = 'caisson.publish';
const ways: readonly PublishWay[] = ['listener', 'NodePort', 'LoadBalancer'];

/** Throws InvalidParameter for a label that names no such way. */
export function publishWay(
  labels: Readonly<Record<string, string>> | null | undefined,
  ofOperator: PublishWay,
): PublishWay {
  const given = labels?.[publishLabel];
  if (given === undefined) return ofOperator;
  const way = ways.find((each) => each.toLowerCase() === given.toLowerCase());
  if (way !== undefined) return way;
  throw new DaemonError(
    'InvalidParameter',
    `invalid label ${publishLabel}=${given}: it is one of ${ways.join(', ')}`,
  );
}
