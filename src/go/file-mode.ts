// Go's os.FileMode, in which Docker's API gives modes: permission bits, and others for what stat(2) has elsewhere.

const types: Readonly<Record<number, number>> = {
  0o040000: 2 ** 31, // directory
  0o120000: 2 ** 27, // symbolic link
  0o060000: 2 ** 26, // block device
  0o010000: 2 ** 25, // named pipe
  0o140000: 2 ** 24, // socket
  0o020000: 2 ** 26 + 2 ** 21, // character device
};
const special: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23], // setuid
  [0o2000, 2 ** 22], // setgid
  [0o1000, 2 ** 20], // sticky
];

/** From st_mode. */
export function goFileMode(mode: number): number {
  const type = types[mode & 0o170000] ?? 0;
  const bits = special.reduce((sum, [bit, value]) => sum + ((mode & bit) === 0 ? 0 : value), 0);
  return type + bits + (mode & 0o777);
}

export function isDirectoryMode(mode: number): boolean {
  return (mode & 0o170000) === 0o040000;
}
