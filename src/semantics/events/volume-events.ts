// Docker's events for the volumes of a container.

import type { MountPoint } from '../../docker/types';
import type { EventPublisher } from './event-publisher';

/** For volumes that a start mounts or an exit unmounts. */
export function publishVolumeEvents(
  events: EventPublisher,
  record: { id: string; mounts: readonly MountPoint[] },
  action: 'mount' | 'unmount',
): void {
  for (const point of record.mounts) {
    if (point.Type !== 'volume') continue;
    const attributes = { container: record.id, driver: point.Driver ?? 'local' };
    const details = {
      destination: point.Destination,
      propagation: point.Propagation,
      'read/write': String(point.RW),
    };
    events.publish(
      'volume',
      action,
      point.Name ?? '',
      action === 'mount' ? { ...attributes, ...details } : attributes,
    );
  }
}
