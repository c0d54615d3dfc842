// Where results go.

import type { CacheExporter, Exporter } from '../../contract/exporter';
import type { BuildHost } from '../../contract/host';
import type { SessionCaller, Sessions } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import { cacheExporters, inlineCacheOf } from '../remote-cache/cache-export';
import { callersOf } from '../sources/callers';
import { registryAccess } from '../sources/image';
import { archiveExporters } from './archive';
import { fileExporters } from './files';
import { imageExporter, type InlineCacheOf } from './image';

type CallersOf = (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;

/** `moby`, `image`, `docker`, `oci`, `local`, `tar`. */
export function exporters(host: BuildHost, sessions: Sessions): Exporter[] {
  const callers: CallersOf = (scope, signal) => callersOf(sessions, scope, signal);
  return [
    imageExporter(host, (scope) => registryAccess((signal) => callers(scope, signal)), inlineCacheFor),
    ...archiveExporters(host, callers, inlineCacheFor),
    ...fileExporters(host, callers),
  ];
}

/** `registry`, `local`. */
export function cacheExportersOf(host: BuildHost, sessions: Sessions): CacheExporter[] {
  const callers: CallersOf = (scope, signal) => callersOf(sessions, scope, signal);
  return cacheExporters(host, callers, (scope) => registryAccess((signal) => callers(scope, signal)));
}

/** Where `--cache-to type=inline` is wanted. */
const inlineCacheFor: InlineCacheOf = ({ cacheExports }) =>
  cacheExports.some(({ type }) => type === 'inline')
    ? ({ ref }, diffIds, signal) => inlineCacheOf(ref, diffIds, signal)
    : undefined;
