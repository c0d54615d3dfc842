// Commands with a limit of their own, for what a machine's real one takes long to reach.

/** `command` with at most so many open descriptors in each of its processes, which cannot raise that, also as root. */
export function withFewDescriptors(command: readonly string[], maxDescriptors: number | undefined): string[] {
  if (maxDescriptors === undefined) return [...command];
  const limit = `--nofile=${String(maxDescriptors)}:${String(maxDescriptors)}`;
  const without = ['--bounding-set', '-sys_resource', '--inh-caps', '-sys_resource'];
  return ['prlimit', limit, 'setpriv', ...without, ...command];
}
