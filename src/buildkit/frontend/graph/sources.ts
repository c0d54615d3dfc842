// Sources of graphs: a client's directory, an image, a URL, a repository.

import { sourceAttributes, type ImageResolveMode, type Platform } from '../../contract/llb';
import { parseGitUrl } from '../options/git-url';
import type { About, GraphWriter, Output } from './graph-writer';

export interface LocalFiles {
  readonly name: string;
  readonly session: string;
  readonly include?: readonly string[];
  readonly follow?: readonly string[];
  readonly exclude?: readonly string[];
  /** Equal for equal uses: clients send only what has changed since. */
  readonly sharedKeyHint: string;
  /** Files of a later transfer replace those before without being compared. */
  readonly isSmall?: boolean;
}

export function localFiles(writer: GraphWriter, files: LocalFiles, about: About): Output {
  const { name, session, include = [], follow = [], exclude = [], sharedKeyHint, isSmall = false } = files;
  const attrs = new Map<string, string>([[sourceAttributes.sharedKeyHint, sharedKeyHint]]);
  if (session !== '') attrs.set(sourceAttributes.localSession, session);
  if (include.length > 0) attrs.set(sourceAttributes.includePatterns, JSON.stringify(include));
  if (follow.length > 0) attrs.set(sourceAttributes.followPaths, JSON.stringify(follow));
  if (exclude.length > 0) attrs.set(sourceAttributes.excludePatterns, JSON.stringify(exclude));
  if (isSmall) attrs.set(sourceAttributes.localDiffer, 'none');
  return source(writer, `local://${name}`, attrs, about);
}

export function imageFiles(
  writer: GraphWriter,
  image: { ref: string; platform: Platform; mode: ImageResolveMode },
  about: About,
): Output {
  const attrs = new Map<string, string>();
  if (image.mode !== 'default') attrs.set(sourceAttributes.imageResolveMode, image.mode);
  const op = { identifier: `docker-image://${image.ref}`, attrs };
  return writer.add({ op: { kind: 'source', value: op }, platform: image.platform }, [], about);
}

export function ociLayoutFiles(
  writer: GraphWriter,
  layout: { ref: string; session: string; store: string; platform: Platform },
  about: About,
): Output {
  const attrs = new Map([
    [sourceAttributes.ociSession, layout.session],
    [sourceAttributes.ociStore, layout.store],
  ]);
  const op = { identifier: `oci-layout://${layout.ref}`, attrs };
  return writer.add({ op: { kind: 'source', value: op }, platform: layout.platform }, [], about);
}

export function httpFile(
  writer: GraphWriter,
  file: { url: string; filename?: string; checksum?: string; mode?: number },
  about: About,
): Output {
  const { url, filename = '', checksum = '', mode } = file;
  const attrs = new Map<string, string>();
  if (filename !== '') attrs.set(sourceAttributes.httpFilename, filename);
  if (checksum !== '') attrs.set(sourceAttributes.httpChecksum, checksum);
  if (mode !== undefined) attrs.set(sourceAttributes.httpMode, `0${mode.toString(8)}`);
  return source(writer, url, attrs, about);
}

/** Undefined where the text names no repository. */
export function gitFiles(
  writer: GraphWriter,
  repository: { url: string; keepGitDir?: boolean; checksum?: string },
  about: About,
): Output | undefined {
  const git = parseGitUrl(repository.url);
  if (git === undefined) return undefined;
  const attrs = new Map<string, string>([[sourceAttributes.gitFullUrl, git.remote]]);
  const keeps = repository.keepGitDir === true || git.options.get('keep-git-dir') === 'true';
  if (keeps) attrs.set(sourceAttributes.gitKeepDirectory, 'true');
  const checksum = repository.checksum ?? '';
  const expected =
    checksum === '' ? (git.options.get('checksum') ?? git.options.get('commit') ?? '') : checksum;
  if (expected !== '') attrs.set(sourceAttributes.gitChecksum, expected);
  if (git.options.get('submodules') === 'false') attrs.set(sourceAttributes.gitSkipSubmodules, 'true');
  if (isSsh(git.remote)) attrs.set(sourceAttributes.gitMountSshSocket, 'default');
  attrs.set(sourceAttributes.gitAuthTokenSecret, 'GIT_AUTH_TOKEN');
  attrs.set(sourceAttributes.gitAuthHeaderSecret, 'GIT_AUTH_HEADER');
  const part = git.subdirectory === '' ? git.ref : `${git.ref}:${git.subdirectory}`;
  const plain = git.identifier.split('#', 1)[0] ?? '';
  return source(writer, part === '' ? plain : `${plain}#${part}`, attrs, about);
}

function isSsh(remote: string): boolean {
  return remote.startsWith('ssh://') || !/^[a-z]+:\/\//.test(remote);
}

function source(
  writer: GraphWriter,
  identifier: string,
  attrs: ReadonlyMap<string, string>,
  about: About,
): Output {
  return writer.add({ op: { kind: 'source', value: { identifier, attrs } } }, [], about);
}
