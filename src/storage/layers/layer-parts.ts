// Which of a layer's squashfs images each of its names goes into. sqfstar looks through the whole list of a directory for
// every new name in it, so a directory with very many names is spread over several images, which overlayfs shows as one.
// docs/adr/0003-layer-conversion.md

/** As many as sqfstar takes within what is allowed to a layer. Fewer would make listing such a directory slower. */
const defaultMaxNames = 140_000;
/** Of one layer. What is more goes into the last. */
const maxParts = 16;

interface SpreadDirectory {
  /** The lowest part that has it. What it has itself is in this one or in those above. */
  part: number;
  names: number;
}

/** Numbers parts from 0, the lowest. The same names in the same order always go to the same parts. */
export class LayerParts {
  /** How many parts there are by now. */
  count = 1;
  readonly #directories = new Map<string, SpreadDirectory>([['', { part: 0, names: 0 }]]);
  readonly #maxNames: number;

  constructor(maxNames = defaultMaxNames) {
    this.#maxNames = maxNames;
  }

  /** The lowest part with this directory. Gives it and its parents a part if they have none. */
  ofDirectory(path: string): number {
    return this.#directory(path).part;
  }

  /** The part for a new name in a directory. */
  forNameIn(directory: string): number {
    const parent = this.#directory(directory);
    const part = Math.min(parent.part + Math.floor(parent.names / this.#maxNames), maxParts - 1);
    parent.names += 1;
    this.count = Math.max(this.count, part + 1);
    return part;
  }

  #directory(path: string): SpreadDirectory {
    let directory = this.#directories.get(path);
    if (directory === undefined) {
      const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      directory = { part: this.forNameIn(parent), names: 0 };
      this.#directories.set(path, directory);
    }
    return directory;
  }
}
