// docker/: Docker's vocabulary: wire types, schemas of bodies, words that clients know.
//
// The wire types of API 1.41, our own declarations with Docker's spelling. Requests: every field is optional, since a
// client may leave it out. Responses: what dockerd 20.10 always sends is required; optional is what it omits when empty.
// `| null` stands where Go prints a nil slice, map or pointer.

export type * from './container';
export type * from './container-config';
export type * from './exec';
export type * from './host-config';
export type * from './image';
export type * from './network';
export type * from './old-types';
export type * from './progress';
export type * from './system';
export type * from './volume';
