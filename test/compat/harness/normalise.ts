// Takes out of a transcript what differs from one run to the next: ids, times, addresses, process ids.

/** Known ids by the name to show for them. */
export type KnownIds = Readonly<Record<string, string>>;

/** One side's view of one case: the same id gets the same number wherever it stands. */
export class Normaliser {
  readonly #known: { id: string; name: string }[];
  readonly #ids: string[] = [];

  constructor(known: KnownIds) {
    this.#known = Object.entries(known).map(([name, id]) => ({ name, id }));
  }

  text(text: string): string {
    return (
      text
        // the client's own race between wait and a start that failed
        .replace(/^time="[^"]*" level=error msg="error waiting for container: (context canceled)?"\n/gm, '')
        // and between its own refusal to copy and what it packs meanwhile
        .replace(
          /^time="[^"]*" level=error msg="Can't (add file [^\n]*|close tar writer): io: read\/write on closed pipe"\n/gm,
          '',
        )
        // An id of digits alone is known by its place only. In one go, since ids are numbered as they come.
        .replace(
          /(---> (?:Running in )?|container |built )(\d{12})\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b/g,
          (id: string, before?: string, digits?: string) =>
            digits === undefined ? this.#id(id) : `${before ?? ''}${this.#number(digits)}`,
        )
        .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, (time) => timeName(time))
        .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \w+/g, '<time>')
        .replace(
          /\b(Less than a second|About an? \w+|\d+ (seconds?|minutes?|hours?|days?|weeks?|months?|years?))( ago)?/g,
          '<duration>',
        )
        .replace(/\b02:42(:[0-9a-f]{2}){4}\b/g, '<mac>')
        // The next of the default pools is another after other cases: they are taken in turn.
        .replace(/\b(172\.(1[89]|2\d|3[01])\.\d+\.\d+\/16|192\.168\.\d+\.\d+\/20)\b/g, '<ip>/<pool>')
        .replace(/("IPPrefixLen": ?)(16|20)\b/g, '$1"<pool>"')
        .replace(/\b(172\.(1[6-9]|2\d|3[01])|192\.168|10\.\d+)\.\d+\.\d+\b/g, '<ip>')
        .replace(
          /(?<![\w.:])(0\.0\.0\.0|::|\[::\]|127\.0\.0\.1):(3[2-9]|4\d|5\d|6[0-5])\d{3}\b/g,
          '$1:<port>',
        )
        .replace(/(\/[\w.-]+)+\/docker-import-\d+/g, '<tmp>')
        .replace(/ {2,}/g, '  ')
        .replace(/[ \t]+$/gm, '')
    );
  }

  /** The same for a number, boolean, null, string or empty collection of a JSON document; `key` is its name there. */
  leaf(value: unknown, key: string): unknown {
    if (typeof value === 'string') return this.text(value);
    return typeof value === 'number' ? numberName(value, key) : value;
  }

  #id(id: string): string {
    // twelve digits in a row may be a number, not an id
    return /^\d{12}$/.test(id) ? id : this.#number(id);
  }

  #number(id: string): string {
    const known = this.#known.find((candidate) => candidate.id.startsWith(id));
    if (known !== undefined) return `<${known.name}>`;
    let index = this.#ids.findIndex((seen) => seen.startsWith(id) || id.startsWith(seen));
    if (index === -1) index = this.#ids.push(id) - 1;
    return `<id ${index + 1}>`;
  }
}

/** An array without what differs by chance: the names that other cases give an image, and the order of all names. */
export function steadyItems(items: readonly unknown[], key: string): readonly unknown[] {
  if (key !== 'RepoTags') return items;
  return items.filter((item) => !(typeof item === 'string' && /^c[0-9a-f]{7}[:/]/.test(item))).sort();
}

/** Go's zero time and times long past (an image's creation) say something; those of the run do not. */
function timeName(time: string): string {
  const ageMs = Date.now() - Date.parse(time);
  return time.startsWith('0001-') || ageMs > 7 * 86_400_000 ? time : '<time>';
}

function numberName(value: number, key: string): unknown {
  const runTime = ['Pid', 'time', 'timeNano', 'Created', 'Size', 'SizeRw', 'SizeRootFs', 'VirtualSize'];
  return runTime.includes(key) && value !== 0 ? `<${key}>` : value;
}
