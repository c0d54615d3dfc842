// Names and values that words are expanded with, in the order in which they were set.

export interface Variables {
  get(name: string): string | undefined;
  /** In order: for what is told of names that might have been meant. */
  names(): readonly string[];
}

/** Variables of several sets: the first that has a name counts. */
export function layered(...sets: readonly Variables[]): Variables {
  return {
    get: (name) => {
      for (const set of sets) {
        const value = set.get(name);
        if (value !== undefined) return value;
      }
      return undefined;
    },
    names: () => [...new Set(sets.flatMap((set) => set.names()))],
  };
}

export function variablesOf(entries: ReadonlyMap<string, string>): Variables {
  return { get: (name) => entries.get(name), names: () => [...entries.keys()] };
}

/** `NAME=value` as an image keeps it; the last of a name counts. */
export function environmentMap(environment: readonly string[]): Map<string, string> {
  return new Map(environment.map(splitAssignment));
}

export function splitAssignment(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
