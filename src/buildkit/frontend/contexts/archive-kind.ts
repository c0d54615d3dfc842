// Whether a download is an archive: by its first bytes, as Docker looks at them.

const magics: readonly (readonly [string, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];
const ustarOffset = 257;

/** Undefined for what is none. */
export function archiveKind(head: Buffer): string | undefined {
  const found = magics.find(([, magic]) => magic.every((byte, at) => head[at] === byte));
  if (found !== undefined) return found[0];
  return head.subarray(ustarOffset, ustarOffset + 5).toString('latin1') === 'ustar' ? 'tar' : undefined;
}
