// Checks that paths come as a walk gives them: a directory before what is in it, names in order of their bytes, nothing twice and
// nothing outside. So whoever takes them needs to look for nothing of this.

import { posix } from 'node:path';
import type { FileStat } from '../contract/session';

const maxPathBytes = 4096;

interface Directory {
  /** With a `/` at its end; '' for the root. */
  readonly prefix: string;
  /** Its last name that came. */
  last: string;
}

/** What a client sent is no walk of a directory. */
export class WalkError extends Error {
  override readonly name = 'WalkError';
}

export class WalkOrder {
  /** From the root to the one that is being walked. */
  readonly #open: Directory[] = [{ prefix: '', last: '' }];
  /** Of files: what hard links may lead to. */
  readonly #files = new Set<string>();

  /** Throws WalkError. */
  add({ path, type, linkName }: FileStat): void {
    const shown = JSON.stringify(path.slice(0, 200));
    if (path === '' || path === '.' || posix.normalize(path) !== path || path.endsWith('/')) {
      throw new WalkError(`unclean path ${shown}`);
    }
    if (path.startsWith('/')) throw new WalkError(`absolute path ${shown}`);
    if (path === '..' || path.startsWith('../')) throw new WalkError(`${shown} leads out of the directory`);
    if (path.includes('\0') || linkName.includes('\0')) throw new WalkError(`${shown} has a zero byte`);
    if (Buffer.byteLength(path) > maxPathBytes || Buffer.byteLength(linkName) > maxPathBytes) {
      throw new WalkError(`${shown} is too long`);
    }
    const slash = path.lastIndexOf('/') + 1;
    const prefix = path.slice(0, slash);
    const name = path.slice(slash);
    let directory = this.#open.at(-1);
    while (directory !== undefined && directory.prefix !== prefix) {
      this.#open.pop();
      directory = this.#open.at(-1);
    }
    if (directory === undefined || compareBytes(directory.last, name) >= 0) {
      throw new WalkError(`changes out of order: ${shown}`);
    }
    directory.last = name;
    if (type === 'directory') this.#open.push({ prefix: `${path}/`, last: '' });
    if (type !== 'file') return;
    if (linkName === '') this.#files.add(path);
    else if (!this.#files.has(linkName))
      throw new WalkError(`${shown} is a link to a file that did not come before`);
  }
}

/** As their UTF-8 would: UTF-16 has another order past U+D800. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
