// `moby` and `image`: an image in the local store, with its names, pushed where that is asked for.

import { BuildError } from '../../contract/errors';
import type { Exporter, ExportRequest } from '../../contract/exporter';
import type { BuildHost, RegistryAccess } from '../../contract/host';
import type { Platform } from '../../contract/llb';
import type { BuildScope, Ref, Result } from '../../contract/solver';
import { tellingExport } from './export-progress';
import { imageConfigOf } from './image-config';

const maxNames = 100;
/** Wishes that would change what is made, and are not fulfilled: refused when they are `true`. */
const refused = ['rewrite-timestamp', 'force-compression', 'push-by-digest', 'buildinfo'];

export function imageExporter(
  host: BuildHost,
  native: Platform,
  accessOf: (scope: BuildScope) => RegistryAccess,
): Exporter {
  return {
    types: ['moby', 'image'],
    export: async (request, signal) => {
      const { attributes, result, scope } = request;
      requireKnown(request);
      const ref = onlyRefOf(result);
      const names = namesOf(attributes.get('name'));
      const layers = (await ref?.layers(signal)) ?? [];
      return tellingExport(scope.progress, 'exporting to image', async (part) => {
        const config = await part('exporting layers', () =>
          Promise.resolve(
            imageConfigOf(result.metadata.get('containerimage.config'), layers, native, new Date()),
          ),
        );
        signal.throwIfAborted();
        const { id } = await part('writing image', () => host.images.create(config, names));
        const answer = new Map([
          ['containerimage.digest', id],
          ['containerimage.config.digest', id],
        ]);
        if (names.length > 0) answer.set('image.name', names.join(','));
        if (attributes.get('push') !== 'true') return answer;
        for (const name of names) {
          const push = (): Promise<{ digest: string }> => host.images.push(name, accessOf(scope), signal);
          answer.set('containerimage.digest', (await part(`pushing ${name}`, push)).digest);
        }
        return answer;
      });
    },
  };
}

/** The result's file system; undefined: an empty one. */
export function onlyRefOf({ ref, refs }: Result): Ref | undefined {
  if (refs.size === 0) return ref;
  const [only] = refs.values();
  if (refs.size === 1) return only;
  throw new BuildError('Unimplemented', 'exporting several platforms is not supported');
}

function requireKnown({ attributes, cacheExports }: ExportRequest): void {
  for (const name of refused) {
    if (attributes.get(name) === 'true') throw new BuildError('Unimplemented', `${name} is not supported`);
  }
  if (cacheExports.length > 0) throw new BuildError('Unimplemented', 'cache export is not supported');
}

function namesOf(text = ''): string[] {
  const names = text.split(',').filter((name) => name !== '');
  if (names.length > maxNames) throw new BuildError('InvalidArgument', `more than ${maxNames} names`);
  return names;
}
