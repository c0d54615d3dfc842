// What of the host the VMs of this daemon see. A VM may remember for a moment what it was told of names and attributes, but
// only while nobody else's VM sees the same files.

import { log } from '../../log';

/** A share of a VM's file server. */
export interface SharedPath {
  /** Real path of the file or directory. */
  path: string;
  /** From now on the VM may remember nothing of it. */
  forgetsAtOnce(): Promise<void>;
  /** It has them to itself again, until it is told otherwise. */
  mayRemember(): Promise<void>;
}

interface Claim {
  readonly shared: SharedPath;
  cached: boolean;
}

export class SharedPaths {
  readonly #claims = new Map<SharedPath, Claim>();

  /**
   * Notes shares that are about to be made. Those that nobody else has are told by `alone`; of the others nothing may be
   * remembered. Then call `settle`, before the new VM can change anything.
   */
  claim(shares: readonly SharedPath[]): { alone: ReadonlySet<SharedPath>; settle: () => Promise<void> } {
    const others = [...this.#claims.values()];
    const alone = new Set<SharedPath>();
    const shaken = new Set<Claim>();
    for (const shared of shares) {
      const overlapping = [...others, ...this.#of(shares)].filter((other) => overlap(other.shared, shared));
      this.#claims.set(shared, { shared, cached: overlapping.length === 0 });
      if (overlapping.length === 0) alone.add(shared);
      for (const other of overlapping) {
        if (other.cached) shaken.add(other);
        other.cached = false;
        alone.delete(other.shared);
      }
    }
    return { alone, settle: () => settleAll([...shaken].filter(({ shared }) => !shares.includes(shared))) };
  }

  /** They are shared no more. Who has the same files with nobody else now may remember them. */
  release(shares: Iterable<SharedPath>): void {
    for (const shared of shares) this.#claims.delete(shared);
    const claims = [...this.#claims.values()];
    for (const claim of claims.filter(({ cached }) => !cached)) {
      if (claims.some((other) => other !== claim && overlap(other.shared, claim.shared))) continue;
      claim.cached = true;
      void heard(claim.shared, claim.shared.mayRemember());
    }
  }

  #of(shares: readonly SharedPath[]): Claim[] {
    return shares.flatMap((shared) => this.#claims.get(shared) ?? []);
  }
}

async function settleAll(claims: readonly Claim[]): Promise<void> {
  await Promise.all(claims.map(({ shared }) => heard(shared, shared.forgetsAtOnce())));
}

/** A VM that is ending doesn't hear it, and nobody will ask it. */
export function heard({ path }: SharedPath, told: Promise<void>): Promise<void> {
  return told.catch((error: unknown) => log.debug('cache of a share', { path, error }));
}

/** One of them is, or lies in, the other. */
function overlap(one: SharedPath, other: SharedPath): boolean {
  const [a, b] = [one, other].map(({ path }) => (path.endsWith('/') ? path : `${path}/`)) as [string, string];
  return a.startsWith(b) || b.startsWith(a);
}
