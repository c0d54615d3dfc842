// Where results go: one Exporter per `--output` type, one CacheExporter per type of `--cache-to`. Control runs those of a build one after
// the other.

import type { BuildScope, CacheSource, Result } from './solver';

export interface Exporter {
  /** `moby`, `image`, `local`, `tar`, `docker`, `oci`. */
  readonly types: readonly string[];
  /**
   * Evaluates what it needs of the result and delivers it; what it tells of itself are vertexes of the build. The answer goes to the client
   * (`containerimage.digest`, `image.name`, …). Leaves nothing half made behind when it rejects.
   */
  export(request: ExportRequest, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export interface ExportRequest {
  readonly type: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Its place among the build's: the client tells them apart by it. */
  readonly index: number;
  readonly result: Result;
  readonly scope: BuildScope;
  /** `--cache-to`; `inline` is written into the image. */
  readonly cacheExports: readonly CacheSource[];
}

export interface CacheExporter {
  /** `registry`, `local`. `inline` is the exporters' of images. */
  readonly type: string;
  /** Delivers what the cache has of the result's steps. The answer goes to the client. */
  export(request: CacheExportRequest, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export interface CacheExportRequest {
  readonly source: CacheSource;
  readonly result: Result;
  readonly scope: BuildScope;
}
