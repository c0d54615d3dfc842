// The wire types of API 1.41, our own declarations with Docker's spelling. Requests: every field is optional, since a
// client may leave it out. Responses: what dockerd 20.10 always sends is required; optional is what it omits when empty.
// `| null` stands where Go prints a nil slice, map or pointer.

export type * from './wire/container';
export type * from './wire/container-config';
export type * from './wire/exec';
export type * from './wire/host-config';
export type * from './wire/image';
export type * from './wire/network';
export type * from './wire/progress';
export type * from './wire/system';
export type * from './wire/volume';
