// The versions of Docker's API that are served.

/** What `Api-Version` says. 1.41 is the contract; newer clients refuse a daemon below 1.44, so that is advertised. */
export const advertisedApiVersion = '1.44';
/** As 20.10. What older versions have otherwise: api/v1.41/old-versions.ts. */
export const minimumApiVersion = '1.12';
/** Versions up to here are accepted in a path, for tools that have one built in. */
export const maximumApiVersion = '1.48';
