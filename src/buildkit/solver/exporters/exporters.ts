// Where results go.

import type { Exporter } from '../../contract/exporter';
import type { BuildHost } from '../../contract/host';
import type { Platform } from '../../contract/llb';
import type { SessionCaller, Sessions } from '../../contract/session';
import { callersOf } from '../sources/callers';
import { registryAccess } from '../sources/image';
import { fileExporters } from './files';
import { imageExporter } from './image';

const native: Platform = { OS: 'linux', Architecture: 'amd64', Variant: '', OSVersion: '', OSFeatures: [] };

/** `moby`, `image`, `local`, `tar`. */
export function exporters(host: BuildHost, sessions: Sessions): Exporter[] {
  const of: (
    ...asked: [Parameters<typeof callersOf>[1], AbortSignal]
  ) => Promise<readonly SessionCaller[]> = (scope, signal) => callersOf(sessions, scope, signal);
  return [
    imageExporter(host, native, (scope) => registryAccess((signal) => of(scope, signal))),
    ...fileExporters(host, of),
  ];
}
