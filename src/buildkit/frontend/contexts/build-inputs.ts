// What a build begins with: its Dockerfile, its main context, and what that context leaves out.

import { posix } from 'node:path';
import { goQuote } from '../../../go/quote';
import { BuildError } from '../../contract/errors';
import type { Bridge, FrontendRequest } from '../../contract/frontend';
import type { Definition } from '../../contract/llb';
import type { Ref } from '../../contract/solver';
import { GraphWriter, type Output } from '../graph/graph-writer';
import { gitFiles, httpFile, localFiles } from '../graph/sources';
import { maxBytes } from '../text/dockerfile-text';
import { archiveKind } from './archive-kind';
import { parseGitUrl } from '../options/git-url';
import { ignorePatterns } from './ignore';
import type { BuildOptions } from '../options/build-options';

export interface DockerfileSource {
  readonly filename: string;
  readonly bytes: Buffer;
}

/** Where the main context is. */
type MainContext =
  | { readonly kind: 'local' }
  | { readonly kind: 'git'; readonly url: string }
  | { readonly kind: 'archive'; readonly url: string }
  /** The URL is of a Dockerfile; there are no other files. */
  | { readonly kind: 'dockerfile'; readonly bytes: Buffer }
  | { readonly kind: 'input'; readonly definition: Definition };

/** Under which name the download of a context is kept. */
const downloadName = 'context';
const headBytes = 1024;

export class BuildInputs {
  readonly #bridge: Bridge;
  readonly #options: BuildOptions;
  readonly #request: FrontendRequest;
  readonly #signal: AbortSignal;
  #main: Promise<MainContext> | undefined;
  #ignore: Promise<readonly string[]> | undefined;

  constructor(bridge: Bridge, options: BuildOptions, request: FrontendRequest, signal: AbortSignal) {
    this.#bridge = bridge;
    this.#options = options;
    this.#request = request;
    this.#signal = signal;
  }

  /** Rejects in BuildKit's words where there is none. */
  async dockerfile(): Promise<DockerfileSource> {
    const { filename } = this.#options;
    const main = await this.#mainContext();
    if (main.kind === 'dockerfile') return { filename, bytes: main.bytes };
    const ref = await this.#dockerfileRef(main);
    const names = filename === 'Dockerfile' ? [filename, 'dockerfile'] : [filename];
    let failure: unknown;
    for (const name of names) {
      try {
        return { filename: name, bytes: await this.#read(ref, name) };
      } catch (error) {
        failure ??= error;
        if (!isMissing(error)) break;
      }
    }
    throw withPrefix('failed to read dockerfile', failure);
  }

  /** Patterns of the main context's files that are left out. */
  ignored(dockerfile: string): Promise<readonly string[]> {
    this.#ignore ??= this.#readIgnored(dockerfile);
    return this.#ignore;
  }

  /** Files of the main context: those under the paths, or all of them. */
  async context(
    writer: GraphWriter,
    paths: readonly string[] | 'all',
    dockerfile: string,
  ): Promise<Output | undefined> {
    const main = await this.#mainContext();
    const name = '[internal] load build context';
    if (main.kind === 'local') {
      return localFiles(
        writer,
        {
          name: this.#options.contextName,
          session: this.#sessionOf(this.#options.contextName),
          follow: paths === 'all' ? [] : paths,
          exclude: await this.ignored(dockerfile),
          sharedKeyHint: this.#options.contextName,
        },
        { name },
      );
    }
    return this.#remoteFiles(writer, main, name);
  }

  #mainContext(): Promise<MainContext> {
    this.#main ??= this.#findMainContext();
    return this.#main;
  }

  async #findMainContext(): Promise<MainContext> {
    const { mainContext } = this.#options;
    const definition = this.#request.inputs.get(this.#options.contextName);
    if (definition !== undefined) return { kind: 'input', definition };
    if (mainContext === '') return { kind: 'local' };
    if (parseGitUrl(mainContext) !== undefined) return { kind: 'git', url: mainContext };
    if (!/^https?:\/\//.test(mainContext))
      throw new BuildError('InvalidArgument', `unknown context ${goQuote(mainContext.slice(0, 200))}`);
    const writer = new GraphWriter();
    const file = httpFile(
      writer,
      { url: mainContext, filename: downloadName },
      { name: '[internal] load remote build context' },
    );
    const ref = await this.#solve(writer, file);
    const head = await this.#bridge
      .readFile(ref, downloadName, { length: headBytes }, this.#signal)
      .catch((error: unknown) => {
        this.#signal.throwIfAborted();
        throw withPrefix('failed to read downloaded context', error);
      });
    if (archiveKind(head) !== undefined) return { kind: 'archive', url: mainContext };
    return { kind: 'dockerfile', bytes: await this.#read(ref, downloadName) };
  }

  #remoteFiles(writer: GraphWriter, main: MainContext, name: string): Output | undefined {
    switch (main.kind) {
      case 'git': {
        const url = main.url;
        return gitFiles(
          writer,
          { url, keepGitDir: this.#options.keepsGitDir },
          { name: `[internal] load git source ${withoutSecrets(url)}` },
        );
      }
      case 'archive':
        return unpackedArchive(writer, main.url, name);
      case 'input':
        return writer.include(main.definition);
      case 'local':
      case 'dockerfile':
        return undefined;
    }
  }

  /** The files that the Dockerfile is among. */
  async #dockerfileRef(main: MainContext): Promise<Ref> {
    const { filename, dockerfileName } = this.#options;
    const writer = new GraphWriter();
    const input = this.#request.inputs.get(dockerfileName);
    const hasOwn = this.#request.options.has('dockerfilekey');
    if (input !== undefined) return this.#solve(writer, writer.include(input));
    if (main.kind !== 'local' && !hasOwn)
      return this.#solve(
        writer,
        this.#remoteFiles(writer, main, `[internal] load build definition from ${filename}`),
      );
    const follow = [filename, `${filename}.dockerignore`];
    // names of files may be written small
    if (posix.basename(filename) === 'Dockerfile')
      follow.push(posix.join(posix.dirname(filename), 'dockerfile'));
    const files = localFiles(
      writer,
      {
        name: dockerfileName,
        session: this.#sessionOf(dockerfileName),
        follow,
        sharedKeyHint: dockerfileName,
        isSmall: true,
      },
      { name: `[internal] load build definition from ${filename}` },
    );
    return this.#solve(writer, files);
  }

  async #readIgnored(dockerfile: string): Promise<readonly string[]> {
    const main = await this.#mainContext();
    if (main.kind !== 'local') return [];
    const beside = await this.#readIfThere(await this.#dockerfileRef(main), `${dockerfile}.dockerignore`);
    if (beside !== undefined) return ignorePatterns(beside.toString());
    const name = '.dockerignore';
    const writer = new GraphWriter();
    const { contextName } = this.#options;
    const files = localFiles(
      writer,
      {
        name: contextName,
        session: this.#sessionOf(contextName),
        follow: [name],
        sharedKeyHint: `${contextName}-${name}`,
        isSmall: true,
      },
      { name: `[internal] load ${name}` },
    );
    const text = await this.#readIfThere(await this.#solve(writer, files), name);
    return text === undefined ? [] : ignorePatterns(text.toString());
  }

  /** A context that a client keeps under another name in another session (`local-sessionid:NAME`). */
  #sessionOf(name: string): string {
    return this.#options.localSessions.get(name) ?? this.#bridge.sessionId;
  }

  async #solve(writer: GraphWriter, output: Output | undefined): Promise<Ref> {
    const what = { kind: 'definition' as const, definition: writer.definition(output) };
    const { ref } = await this.#bridge.solve({ what }, this.#signal);
    if (ref === undefined) throw new BuildError('NotFound', 'failed to read dockerfile: no files');
    return ref;
  }

  async #read(ref: Ref, path: string): Promise<Buffer> {
    const bytes = await this.#bridge.readFile(ref, path, { length: maxBytes + 1 }, this.#signal);
    if (bytes.length > maxBytes)
      throw new BuildError('ResourceExhausted', `${path} is larger than ${maxBytes} bytes`);
    return bytes;
  }

  async #readIfThere(ref: Ref, path: string): Promise<Buffer | undefined> {
    try {
      return await this.#read(ref, path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

/** A downloaded archive, unpacked. */
export function unpackedArchive(writer: GraphWriter, url: string, name: string): Output {
  const file = httpFile(writer, { url, filename: downloadName }, { name });
  const value = {
    src: `/${downloadName}`,
    dest: '/',
    mode: -1,
    timestamp: -1n,
    attemptUnpackDockerCompatibility: true,
    followSymlink: true,
    createDestPath: true,
  };
  const action = { input: -1, secondaryInput: 0, output: 0, action: { kind: 'copy' as const, value } };
  return writer.add({ op: { kind: 'file', value: { actions: [action] } } }, [file], {});
}

export function isMissing(error: unknown): boolean {
  return error instanceof BuildError && error.code === 'NotFound';
}

/** The URL of a repository may have a password. */
function withoutSecrets(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^@/]*@/, '$1xxxxx@');
}

function withPrefix(prefix: string, error: unknown): unknown {
  if (!(error instanceof BuildError)) return error;
  return new BuildError(error.code, `${prefix}: ${error.message}`, {
    cause: error,
    details: error.details,
  });
}
