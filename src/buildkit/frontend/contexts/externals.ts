// What names outside of the Dockerfile stand for: images, and the contexts that a client gives under names of its own.

import { goQuote } from '../../../go/quote';
import { isDaemonError } from '../../../errors';
import { familiarString, fullString, parseReference, type Reference } from '../../../registry/reference';
import { BuildError } from '../../contract/errors';
import type { Bridge, FrontendRequest } from '../../contract/frontend';
import { sourceAttributes, type Platform } from '../../contract/llb';
import type { About, GraphWriter, Output } from '../graph/graph-writer';
import { GraphWriter as Writer } from '../graph/graph-writer';
import { gitFiles, imageFiles, localFiles, ociLayoutFiles } from '../graph/sources';
import { ImageState } from '../image/image-state';
import { isMissing, unpackedArchive } from './build-inputs';
import { parseGitUrl } from '../options/git-url';
import { ignorePatterns } from './ignore';
import type { BuildOptions } from '../options/build-options';
import { platformText } from '../options/platforms';
import { DockerfileProblem } from '../text/problem';

/** A name, resolved for a platform. */
export interface External {
  /** As clients show it in FROM. */
  readonly shown: string;
  /** Undefined where it is files alone. */
  readonly image: ImageState | undefined;
  /** Its configuration as it came. */
  readonly config?: Buffer;
  /** `paths`: what is read of it; of a client's directory no more is asked for. `title` is shown unless the context has one. */
  files(writer: GraphWriter, paths: readonly string[] | 'all', title: About): Output | undefined;
}

export class Externals {
  readonly #bridge: Bridge;
  readonly #options: BuildOptions;
  readonly #request: FrontendRequest;
  readonly #signal: AbortSignal;
  readonly #resolved = new Map<string, Promise<External>>();

  constructor(bridge: Bridge, options: BuildOptions, request: FrontendRequest, signal: AbortSignal) {
    this.#bridge = bridge;
    this.#options = options;
    this.#request = request;
    this.#signal = signal;
  }

  /** Whether the client gave a context of that name, for whatever platform. */
  has(name: string): boolean {
    return this.#names.has(name) || namesOf(name).some((alias) => this.#names.has(alias));
  }

  /** Equal questions have one answer. Rejects in the words of who refuses it. */
  resolve(name: string, platform: Platform): Promise<External> {
    const key = `${name} ${platformText(platform)}`;
    const there = this.#resolved.get(key);
    if (there !== undefined) return there;
    const resolved = this.#resolve(name, platform);
    this.#resolved.set(key, resolved);
    return resolved;
  }

  /** Without platforms, in the forms in which they may be asked for. */
  get #names(): ReadonlySet<string> {
    const names = [...this.#options.contexts.keys()].map((name) => name.split('::', 1)[0] ?? '');
    return new Set(names);
  }

  async #resolve(name: string, platform: Platform): Promise<External> {
    const given = this.#contextOf(name, platform);
    if (given === undefined) return this.#image(name, platform);
    const { name: contextName, value } = given;
    const colon = value.indexOf(':');
    const scheme = colon < 0 ? '' : value.slice(0, colon);
    const rest = value.slice(colon + 1).replace(/^\/\//, '');
    switch (scheme) {
      case 'docker-image':
        return this.#image(rest, platform, contextName);
      case 'local':
        return this.#local(rest, contextName);
      case 'oci-layout':
        return this.#ociLayout(rest, platform, contextName);
      case 'input':
        return this.#input(rest, contextName);
      default:
        return this.#url(value, contextName);
    }
  }

  #contextOf(name: string, platform: Platform): { name: string; value: string } | undefined {
    for (const alias of namesOf(name)) {
      const value =
        this.#options.contexts.get(`${alias}::${platformText(platform)}`) ??
        this.#options.contexts.get(alias);
      if (value !== undefined) return { name: alias, value };
    }
    return undefined;
  }

  async #image(name: string, platform: Platform, contextName?: string): Promise<External> {
    const reference = referenceOf(name);
    const full = fullString(withTag(reference));
    const mode = this.#options.resolveMode;
    const prefix = contextName === undefined ? '[internal]' : `[context ${contextName}]`;
    const logName = `${prefix} load metadata for ${full}`;
    const resolved = await this.#bridge
      .resolveImageConfig(full, { platform, mode, logName }, this.#signal)
      .catch((error: unknown) => {
        this.#signal.throwIfAborted();
        throw unresolved(error, name, full);
      });
    const image = ImageState.parse(resolved.config);
    const ref = resolved.ref === '' ? full : resolved.ref;
    return {
      shown: ref,
      image,
      config: resolved.config,
      files: (writer, _paths, about) =>
        imageFiles(
          writer,
          { ref, platform, mode },
          contextName === undefined ? about : { ...about, name: `[context ${contextName}] ${ref}` },
        ),
    };
  }

  async #local(name: string, contextName: string): Promise<External> {
    const session = this.#options.localSessions.get(name) ?? this.#bridge.sessionId;
    const exclude = await this.#ignoredOf(name, session, contextName);
    return {
      shown: contextName,
      image: undefined,
      files: (writer, paths) =>
        localFiles(
          writer,
          {
            name,
            session,
            exclude,
            follow: paths === 'all' ? [] : paths,
            sharedKeyHint: `context:${contextName}`,
          },
          { name: `[context ${contextName}] load from client` },
        ),
    };
  }

  async #ignoredOf(name: string, session: string, contextName: string): Promise<string[]> {
    const file = '.dockerignore';
    const writer = new Writer();
    const files = localFiles(
      writer,
      { name, session, follow: [file], sharedKeyHint: `context:${contextName}-${file}`, isSmall: true },
      { name: `[context ${contextName}] load ${file}` },
    );
    const what = { kind: 'definition' as const, definition: writer.definition(files) };
    const { ref } = await this.#bridge.solve({ what }, this.#signal);
    if (ref === undefined) return [];
    try {
      return ignorePatterns((await this.#bridge.readFile(ref, file, {}, this.#signal)).toString());
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #ociLayout(rest: string, platform: Platform, contextName: string): Promise<External> {
    const reference = referenceOf(rest);
    if (reference.digest === undefined)
      throw new DockerfileProblem(`oci-layout reference ${goQuote(rest)} must have digest`);
    const { path, domain, digest } = reference;
    const store = domain === 'docker.io' ? path.replace(/^library\//, '') : `${domain}/${path}`;
    const session = this.#options.localSessions.get(store) ?? this.#bridge.sessionId;
    const ref = `${store}@${digest}`;
    const attrs = new Map([
      [sourceAttributes.ociSession, session],
      [sourceAttributes.ociStore, store],
    ]);
    const { image } = await this.#bridge.resolveSource(
      { identifier: `oci-layout://${ref}`, attrs },
      {
        platform,
        mode: 'default',
        logName: `[context ${contextName}] load metadata for ${ref}`,
      },
      this.#signal,
    );
    return {
      shown: ref,
      image: image === undefined ? undefined : ImageState.parse(image.config),
      files: (writer) =>
        ociLayoutFiles(
          writer,
          { ref, session, store, platform },
          { name: `[context ${contextName}] OCI load from client` },
        ),
    };
  }

  #input(name: string, contextName: string): Promise<External> {
    const definition = this.#request.inputs.get(name);
    if (definition === undefined)
      throw new BuildError(
        'InvalidArgument',
        `invalid input ${goQuote(name)} for context ${goQuote(contextName)}`,
      );
    const config = this.#inputConfig(name);
    return Promise.resolve({
      shown: contextName,
      image: config === undefined ? undefined : ImageState.parse(config),
      files: (writer) => writer.include(definition),
    });
  }

  /** What the build that made the input said of its image. */
  #inputConfig(name: string): Buffer | undefined {
    const text = this.#options.inputMetadata.get(name);
    if (text === undefined) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new BuildError('InvalidArgument', `failed to unmarshal input metadata ${name}`, { cause: error });
    }
    const config = (value as Record<string, unknown> | null)?.['containerimage.config'];
    return typeof config === 'string' ? Buffer.from(config, 'base64') : undefined;
  }

  #url(value: string, contextName: string): Promise<External> {
    const about = { name: `[context ${contextName}] load from ${value}` };
    if (parseGitUrl(value) !== undefined) {
      const { keepsGitDir: keepGitDir } = this.#options;
      return Promise.resolve({
        shown: contextName,
        image: undefined,
        files: (writer) => gitFiles(writer, { url: value, keepGitDir }, about),
      });
    }
    if (/^https?:\/\//.test(value)) {
      return Promise.resolve({
        shown: contextName,
        image: undefined,
        files: (writer) => unpackedArchive(writer, value, about.name),
      });
    }
    throw new BuildError('InvalidArgument', `unsupported context source ${value} for ${contextName}`);
  }
}

/** A name as it is, and as people write the image of that name. */
function namesOf(name: string): string[] {
  const names = [name];
  try {
    const reference = parseReference(name);
    const familiar = familiarString(reference);
    names.push(familiar);
    if (reference.digest === undefined) {
      names.push(reference.tag === undefined ? `${familiar}:latest` : familiar.replace(/:latest$/, ''));
    }
  } catch (error) {
    if (!isDaemonError(error)) throw error;
  }
  return [...new Set(names)];
}

function referenceOf(name: string): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    // the parser of today names what it means
    const reason = error.message.replace(
      'repository name must be lowercase',
      () => `repository name (${normalizedPath(name)}) must be lowercase`,
    );
    throw new DockerfileProblem(`failed to parse stage name ${goQuote(name)}: ${reason}`, undefined, {
      cause: error,
    });
  }
}

/** Without tag; names of Docker Hub with their `library/`. */
function normalizedPath(name: string): string {
  const [path = ''] = name.split(':', 1);
  return path.includes('/') ? path : `library/${path}`;
}

function withTag(reference: Reference): Reference {
  const isPinned = reference.tag !== undefined || reference.digest !== undefined;
  return isPinned ? reference : { ...reference, tag: 'latest' };
}

/** In the words of BuildKit's resolver, which doesn't tell what a registry said of a name that it hasn't. */
function unresolved(error: unknown, name: string, full: string): unknown {
  const prefix = `${name}: failed to resolve source metadata for ${full}`;
  const isUnknown =
    (error instanceof BuildError || isDaemonError(error)) &&
    /^manifest for .* not found: manifest unknown/.test(error.message);
  if (isUnknown) return new BuildError('NotFound', `${prefix}: ${full}: not found`, { cause: error });
  return withPrefix(error, prefix);
}

function withPrefix(error: unknown, prefix: string): unknown {
  if (error instanceof BuildError) {
    return new BuildError(error.code, `${prefix}: ${error.message}`, {
      cause: error,
      details: error.details,
    });
  }
  if (isDaemonError(error)) {
    const code = error.code === 'NotFound' ? 'NotFound' : 'Unknown';
    return new BuildError(code, `${prefix}: ${error.message}`, { cause: error });
  }
  return error;
}
