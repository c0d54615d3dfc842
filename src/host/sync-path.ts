import { open } from 'node:fs/promises';

/** Forces a file, or a directory's names, to disk. Rejects with a Node system error. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
