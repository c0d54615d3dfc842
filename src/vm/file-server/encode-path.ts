/** Line feeds and percent signs may be part of a path, and lines and escapes of the file server's control protocol. */
export function encodePath(path: string): string {
  return path.replaceAll('%', '%25').replaceAll('\n', '%0A');
}
