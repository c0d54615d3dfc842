// Programs in Python within a case's shell.

/** A Python program as words of the shell. */
export function python(text: string): string {
  const quoted = text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n');
  return `python3 -c $'${quoted}'`;
}
