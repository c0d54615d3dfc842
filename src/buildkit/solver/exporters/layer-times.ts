// `rewrite-timestamp`: nothing in the layers that a build has added is later than SOURCE_DATE_EPOCH. Layers of the base image stay as they are.

import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BuildHost } from '../../contract/host';
import type { BuildScope } from '../../contract/solver';
import type { TarEntry } from '../../../storage/tar/tar-header';
import { TarRewriter } from '../../../storage/tar/tar-rewriter';
import type { ExportPart } from '../delivery/export-progress';

export interface RewrittenLayers {
  /**
   * The layers with their times rewritten, in the same order; the first ones that are the base's stay. Without an epoch all stay, which
   * is told. They are held until `close`.
   */
  of(
    layers: { diffIds: readonly string[]; base: readonly string[] },
    epochSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly string[]>;
}

/** What the assembly of an image is given. */
export interface Rewriting {
  readonly rewritten?: RewrittenLayers;
}

/** Runs an export, with its layers' times rewritten where that is wanted. */
export async function withLayerTimes<T>(
  host: Pick<BuildHost, 'layers' | 'images'>,
  { wanted, scope, part }: { wanted: boolean; scope: BuildScope; part: ExportPart },
  work: (rewriting: Rewriting) => Promise<T>,
): Promise<T> {
  if (!wanted) return work({});
  const rewritten = new LayerTimes(host, part, (short) =>
    scope.progress.warning({ vertex: '', level: 1, short, detail: [], url: '', ranges: [] }),
  );
  try {
    return await work({ rewritten });
  } finally {
    await rewritten.close();
  }
}

/** Of one export: `close` it. */
class LayerTimes implements RewrittenLayers {
  readonly #host: Pick<BuildHost, 'layers' | 'images'>;
  readonly #part: ExportPart;
  readonly #warn: (short: string) => void;
  readonly #made = new Map<string, Promise<string>>();
  readonly #releases: (() => void)[] = [];

  constructor(host: Pick<BuildHost, 'layers' | 'images'>, part: ExportPart, warn: (short: string) => void) {
    this.#host = host;
    this.#part = part;
    this.#warn = warn;
  }

  async of(
    { diffIds, base }: { diffIds: readonly string[]; base: readonly string[] },
    epochSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    if (epochSeconds === undefined) {
      this.#warn('rewrite-timestamp has no effect: there is no SOURCE_DATE_EPOCH');
      return diffIds;
    }
    const own = diffIds.findIndex((diffId, i) => diffId !== base[i]);
    if (own < 0) return diffIds;
    const time = new Date(epochSeconds * 1000).toISOString().replace('T', ' ').replace('.000Z', ' +0000 UTC');
    return this.#part(`rewriting layers with source-date-epoch ${epochSeconds} (${time})`, async () => {
      const rewritten = diffIds.slice(0, own);
      for (const diffId of diffIds.slice(own)) rewritten.push(await this.#one(diffId, epochSeconds, signal));
      return rewritten;
    });
  }

  /** What no image has taken is removed. */
  async close(): Promise<void> {
    const made = await Promise.allSettled(this.#made.values());
    for (const release of this.#releases.splice(0)) release();
    await this.#host.images.removeUnusedLayers(
      made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])),
    );
  }

  #one(diffId: string, epochSeconds: number, signal: AbortSignal): Promise<string> {
    const key = `${epochSeconds} ${diffId}`;
    const made = this.#made.get(key) ?? this.#rewrite(diffId, epochSeconds, signal);
    this.#made.set(key, made);
    return made;
  }

  async #rewrite(diffId: string, epochSeconds: number, signal: AbortSignal): Promise<string> {
    const { layers } = this.#host;
    const output = new PassThrough();
    const [added] = await Promise.all([
      layers.add(output, {
        signal,
        onDiffId: (made) => this.#releases.push(layers.hold([made])),
      }),
      pipeline(layers.openTar(diffId), new TimesInTar(epochSeconds), output, { signal }),
    ]);
    return added.diffId;
  }
}

/** A tar with no time later than that. */
class TimesInTar extends TarRewriter {
  readonly #latestSeconds: number;

  constructor(latestSeconds: number) {
    super();
    this.#latestSeconds = latestSeconds;
  }

  protected override takeEntry(entry: TarEntry): boolean {
    this.writeHeader({ ...entry, mtime: Math.min(entry.mtime, this.#latestSeconds) });
    return true;
  }

  protected override takeEnd(): void {
    this.writeEnd();
  }
}
