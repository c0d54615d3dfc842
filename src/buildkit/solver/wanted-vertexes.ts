// Which builds that are open have a vertex in their graphs, whether they have come to it or not.

import type { BuildScope } from '../contract/solver';

export class WantedVertexes {
  readonly #scopes = new Map<string, Set<BuildScope>>();

  /** Returns what takes the build out again. */
  add(digest: string, scope: BuildScope): () => void {
    const scopes = this.#scopes.get(digest) ?? new Set();
    this.#scopes.set(digest, scopes.add(scope));
    return () => {
      scopes.delete(scope);
      if (scopes.size === 0 && this.#scopes.get(digest) === scopes) this.#scopes.delete(digest);
    };
  }

  scopesOf(digest: string): Iterable<BuildScope> {
    return this.#scopes.get(digest) ?? [];
  }
}
