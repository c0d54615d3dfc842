// A directory's entries, as a command in the container tells them: names may hold anything but a slash.

import type { TarEntry } from './tar';

export type FileEntry = Pick<TarEntry, 'name' | 'size' | 'mode' | 'mtime' | 'type'>;

/** One process for all entries; busybox and coreutils have both programs. The mark ends a list that is whole. */
export function listCommand(path: string): string[] {
  const script = 'cd -- "$1" && find . -maxdepth 1 -mindepth 1 -exec stat -c "/%f %s %Y %n" {} + && echo //';
  return ['sh', '-c', script, 'sh', path];
}

/** Undefined for what is no whole list. */
export function parseList(text: string): FileEntry[] | undefined {
  const end = text.lastIndexOf('//\n');
  if (end < 0) return undefined;
  const entries: FileEntry[] = [];
  // a name may have lines of its own: an entry goes on until the next one begins
  for (const [, mode = '', size = '', mtime = '', name = ''] of text
    .slice(0, end)
    .matchAll(/^\/([\da-f]+) (\d+) (-?\d+) \.\/([^/]*)\n(?=\/|$(?![^]))/gm)) {
    const bits = parseInt(mode, 16);
    const types: Record<number, FileEntry['type']> = { 0o10: 'file', 0o04: 'directory', 0o12: 'symlink' };
    entries.push({
      name,
      size: Number(size),
      mode: bits & 0o7777,
      mtime: Number(mtime),
      type: types[bits >> 12] ?? 'other',
    });
  }
  return entries;
}

/** Directories first, then by name. */
export function sortEntries(entries: FileEntry[]): FileEntry[] {
  const rank = ({ type }: FileEntry): number => (type === 'directory' ? 0 : 1);
  return entries.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

export function parentOf(path: string): string {
  return path.replace(/\/+$/, '').replace(/\/[^/]*$/, '') || '/';
}
