// Kinds of caches that builds may name, and what is said of those that there are none of.

import { BuildError } from './errors';
import type { CacheSource } from './solver';

/** Of other people's services. */
const unsupported = ['gha', 's3', 'azblob'];

/** Throws Unimplemented or InvalidArgument. `known`: besides `inline`. */
export function requireCacheExports(exports: readonly CacheSource[], known: readonly string[]): void {
  for (const { type } of exports)
    if (type !== 'inline' && !known.includes(type)) throw unknownCache('exporter', type);
}

export function unknownCache(what: 'exporter' | 'importer', type: string): BuildError {
  const name = type.slice(0, 64);
  return unsupported.includes(type)
    ? new BuildError('Unimplemented', `cache ${what} ${name} is not supported: use registry, local or inline`)
    : new BuildError('InvalidArgument', `unknown cache ${what}: ${JSON.stringify(name)}`);
}
