// Annotations that a client or a frontend wants on manifests, indexes, and the descriptors that lead to them:
// `annotation[-TYPE][[PLATFORM]].KEY`.

import { BuildError } from '../../contract/errors';

export interface Annotations {
  readonly index: Record<string, string>;
  readonly indexDescriptor: Record<string, string>;
  readonly manifest: Record<string, string>;
  readonly manifestDescriptor: Record<string, string>;
}

interface Annotation {
  readonly type: keyof Annotations;
  /** '': all. */
  readonly platform: string;
  readonly key: string;
  readonly value: string;
}

const pattern = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/;
const types: Readonly<Record<string, keyof Annotations>> = {
  '': 'manifest',
  index: 'index',
  'index-descriptor': 'indexDescriptor',
  manifest: 'manifest',
  'manifest-descriptor': 'manifestDescriptor',
};

export class AnnotationSet {
  readonly #all: readonly Annotation[];

  /** Of attributes; what is none of them is left. Throws InvalidArgument. */
  constructor(attributes: Iterable<readonly [string, string]>) {
    this.#all = [...attributes].flatMap(([name, value]) => {
      const match = pattern.exec(name);
      if (match === null) return [];
      const [, type = '', platform = '', key = ''] = match;
      const known = Object.hasOwn(types, type) ? types[type] : undefined;
      if (known === undefined)
        throw new BuildError('InvalidArgument', `unrecognized annotation type ${type.slice(0, 64)}`);
      return [{ type: known, platform, key, value }];
    });
  }

  static isAnnotation(name: string): boolean {
    return pattern.test(name);
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Something that only an index, or OCI's media types, can have. */
  get needsOci(): boolean {
    return this.#all.some(({ type }) => type !== 'manifest');
  }

  get needsIndex(): boolean {
    return this.#all.some(({ type }) => type === 'index' || type === 'indexDescriptor');
  }

  /** Throws InvalidArgument for those of platforms that the result has not. */
  requirePlatforms(ids: readonly string[]): void {
    for (const { platform } of this.#all) {
      if (platform !== '' && !ids.includes(platform))
        throw new BuildError(
          'InvalidArgument',
          `invalid annotation: no platform ${platform} found in source`,
        );
    }
  }

  /** Of a platform besides those of all; of an index without one. */
  of(platform?: string): Annotations {
    const wanted = (type: keyof Annotations): Record<string, string> =>
      Object.fromEntries(
        this.#all
          .filter((each) => each.type === type)
          .filter((each) => type.startsWith('index') || each.platform === '' || each.platform === platform)
          .sort((a, b) => (a.platform === b.platform ? 0 : a.platform === '' ? -1 : 1))
          .map(({ key, value }) => [key, value] as const),
      );
    return {
      index: wanted('index'),
      indexDescriptor: wanted('indexDescriptor'),
      manifest: wanted('manifest'),
      manifestDescriptor: wanted('manifestDescriptor'),
    };
  }
}
