// How the engine's verbs announce what they did. EventBus (events.ts) is the implementation.

/** Docker's event types; `actorId` is the object's id (the reference, for images). */
export type EventType = 'container' | 'image' | 'network' | 'volume' | 'daemon';

export interface EventPublisher {
  /** Never throws. Call it after the state it tells of is recorded. */
  publish(type: EventType, action: string, actorId: string, attributes: Record<string, string>): void;
}

/** Who announces what it did. */
export interface Announcer {
  readonly events: EventPublisher;
}
