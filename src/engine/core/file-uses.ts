// Who works on the files of a container that runs. dockerd holds the container's lock for that: an exit is seen at once, and what
// follows it (a restart, the removal, the end of the VM) comes when the files are left alone.

import type { Container } from './container-registry';

const uses = new WeakMap<Container, Set<Promise<unknown>>>();

/** Runs `work` as a use of the container's files. It must not wait for the container's queue. */
export function usingFiles<T>(container: Container, work: () => Promise<T>): Promise<T> {
  const others = uses.get(container) ?? new Set();
  uses.set(container, others);
  const use = work();
  others.add(use);
  const over = (): void => void others.delete(use);
  use.then(over, over);
  return use;
}

/** Resolves when nobody uses them. Never rejects. */
export async function filesLeftAlone(container: Container): Promise<void> {
  for (let others = uses.get(container); others !== undefined && others.size > 0;)
    await Promise.allSettled([...others]);
}
