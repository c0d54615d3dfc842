// A process's environment, in Docker's order.

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The engine's own variables, replaced and followed by the container's. HOME is the agent's, from the image's passwd. */
export function containerEnvironment(options: {
  hostname: string;
  terminal: boolean;
  env: readonly string[] | null | undefined;
}): string[] {
  const base = [`PATH=${defaultPath}`, `HOSTNAME=${options.hostname}`];
  if (options.terminal) base.push('TERM=xterm');
  return mergeEnvironment(base, options.env ?? []);
}

/** Each override replaces the variable of its name where that stands, else it is appended; `NAME` without `=` removes. */
export function mergeEnvironment(base: readonly string[], overrides: readonly string[]): string[] {
  const merged: (string | undefined)[] = [...base];
  const indexByName = new Map<string, number>();
  base.forEach((entry, index) => indexByName.set(variableName(entry), index));
  for (const entry of overrides) {
    const name = variableName(entry);
    const index = indexByName.get(name);
    const value = entry.includes('=') ? entry : undefined;
    if (index !== undefined) {
      merged[index] = value;
      if (value === undefined) indexByName.delete(name);
    } else if (value !== undefined) {
      indexByName.set(name, merged.push(value) - 1);
    }
  }
  return merged.filter((entry) => entry !== undefined);
}

/** `NAME` of `NAME=value`. */
export function variableName(entry: string): string {
  const end = entry.indexOf('=');
  return end < 0 ? entry : entry.slice(0, end);
}
