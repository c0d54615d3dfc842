// URLs of git repositories (docs.docker.com/build/concepts/context, "Git repositories"): which texts are one, and their fragments.

export interface GitUrl {
  /** As LLB's source has it, without a scheme of its own: `git://host/path#ref:dir`. */
  readonly identifier: string;
  /** What git is asked for. */
  readonly remote: string;
  readonly ref: string;
  readonly subdirectory: string;
  readonly options: ReadonlyMap<string, string>;
}

const scpForm = /^(?:[a-zA-Z0-9._-]+@)[a-zA-Z0-9.-]+:(?!\/\/)[^\s]+$/;

/** Of an ADD's source; undefined where it is none. */
export function gitSource(text: string): string | undefined {
  return parseGitUrl(text) === undefined ? undefined : text;
}

/** Undefined where the text names no repository. */
export function parseGitUrl(text: string): GitUrl | undefined {
  const hash = text.indexOf('#');
  const withQuery = hash < 0 ? text : text.slice(0, hash);
  const fragment = hash < 0 ? '' : text.slice(hash + 1);
  const question = withQuery.indexOf('?');
  const plain = question < 0 ? withQuery : withQuery.slice(0, question);
  const options = new Map(question < 0 ? [] : new URLSearchParams(withQuery.slice(question + 1)));
  if (!isRepository(plain)) return undefined;
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdirectory = colon < 0 ? '' : fragment.slice(colon + 1);
  const remote = plain.startsWith('github.com/') ? `https://${plain}` : plain;
  return {
    identifier: identifierOf(remote, fragment),
    remote,
    ref: options.get('tag') ?? options.get('branch') ?? options.get('ref') ?? ref,
    subdirectory: options.get('subdir') ?? subdirectory,
    options,
  };
}

function isRepository(plain: string): boolean {
  if (/^(?:git|ssh):\/\//.test(plain)) return true;
  if (/^https?:\/\//.test(plain)) return plain.endsWith('.git');
  if (plain.startsWith('github.com/')) return true;
  return scpForm.test(plain);
}

/** The scheme is in an attribute of the source. */
function identifierOf(remote: string, fragment: string): string {
  const isScp = scpForm.test(remote);
  const place = isScp
    ? remote.replace(/^[^@]*@/, '').replace(':', '/')
    : remote.replace(/^[a-z]+:\/\//, '').replace(/^[^@/]*@/, '');
  return `git://${place}${fragment === '' ? '' : `#${fragment}`}`;
}
