// The signal that stops a container.

import { isLinuxSignal, parseSignal, sigterm } from '../../translate/signals';
import type { ContainerRecord } from './container-record';

/** What a client has asked for, or StopSignal of the container. Throws what `parseSignal` throws. */
export function stopSignal({ record }: { record: Pick<ContainerRecord, 'config'> }, asked = ''): number {
  if (asked !== '') return parseSignal(asked);
  const text = record.config.StopSignal ?? '';
  if (text === '') return sigterm;
  const number = parseSignal(text);
  return isLinuxSignal(number) ? number : sigterm;
}
