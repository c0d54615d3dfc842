// Which events a client's filters let through.

import type { Filters } from '../../api/v1.41/backend';
import type { EventMessage, EventMessageType } from '../../docker/types';
import { repositoryOf } from './image-filter';
import { matchLabels, matchPrefix, matchValue } from './filters';

/** Types whose filter of the same name compares the begin of the object's id or name. */
const namedTypes: readonly EventMessageType[] = [
  'daemon',
  'container',
  'plugin',
  'volume',
  'network',
  'node',
  'service',
  'secret',
  'config',
];
/** Actions that carry a command or a status behind a colon; asking for one of them compares the begin. */
const prefixActions = ['health_status', 'exec_create', 'exec_start'];

/** Values of one filter are alternatives, filters all must match; unknown filters are passed over, as in dockerd. */
export function matchEvent(filters: Filters, event: EventMessage): boolean {
  const { ID: id, Attributes: attributes } = event.Actor;
  const wantsPrefix = filters.get('event')?.some((value) => prefixActions.includes(value)) ?? false;
  return (
    (wantsPrefix ? matchPrefix : matchValue)(filters, 'event', event.Action) &&
    matchValue(filters, 'type', event.Type) &&
    matchValue(filters, 'scope', event.scope) &&
    namedTypes.every(
      (type) => matchPrefix(filters, type, id) || matchPrefix(filters, type, attributes['name'] ?? ''),
    ) &&
    matchImage(filters, event) &&
    matchLabels(filters.get('label'), attributes)
  );
}

/** Events of an image by id or name, and events of containers made from it, with or without its tag. */
function matchImage(filters: Filters, event: EventMessage): boolean {
  const { ID: id, Attributes: attributes } = event.Actor;
  const name = attributes[event.Type === 'image' ? 'name' : 'image'] ?? '';
  return [id, name, repositoryOf(id), repositoryOf(name)].some((value) =>
    matchValue(filters, 'image', value),
  );
}
