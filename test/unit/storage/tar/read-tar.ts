// Reads an archive with GNU tar: somebody else's opinion of what we write.

import { execFileSync } from 'node:child_process';

export interface ListedEntry {
  mode: string;
  owner: string;
  /** Bytes, or `major,minor`. */
  size: string;
  /** latin1: one character a byte. */
  name: string;
  link: string | undefined;
}

export function listTar(archive: Buffer): ListedEntry[] {
  const args = ['--list', '--verbose', '--numeric-owner', '--quoting-style=literal', '--file=-', '-P'];
  const text = execFileSync('tar', args, {
    input: archive,
    encoding: 'latin1',
    env: { ...process.env, TZ: 'UTC' },
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, mode = '', owner = '', size = '', rest = ''] =
        /^(\S+) (\S+)\s+(\S+) \d{4}-\d\d-\d\d \d\d:\d\d (.*)$/.exec(line) ?? [];
      const [name = '', link] = rest.split(/ -> | link to /, 2);
      return { mode, owner, size, name, link };
    });
}

/** The content of one member. */
export function readMember(archive: Buffer, name: string): Buffer {
  return execFileSync('tar', ['--extract', '--to-stdout', '--file=-', '-P', '--', name], {
    input: archive,
    maxBuffer: 1 << 28,
  });
}
