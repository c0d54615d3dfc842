// What says that the step of a build still has a daemon: a number, in its record or on its Pod, that becomes another.

/** How often it does. */
export const beatMs = 10_000;
/** Whose beat has not changed for so long has no daemon any more: one that goes on says so more often, unless the API server is away. */
export const silentMs = 90_000;
