// ARG and --build-arg: which arguments a stage may use, and what they are worth.

/** Proxies that RUN gets when the client gives them, without an ARG. */
const predefined = new Set([
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'FTP_PROXY',
  'ftp_proxy',
  'NO_PROXY',
  'no_proxy',
]);

type Values = Map<string, string | undefined>;

export class BuildArgs {
  readonly #given: ReadonlyMap<string, string | undefined>;
  /** Declared before the first FROM. */
  readonly #meta: Values = new Map();
  /** Declared in the stage. */
  #declared: Values = new Map();
  readonly #referenced = new Set<string>();

  /** `given`: the client's; undefined is a name without a value. */
  constructor(given: ReadonlyMap<string, string | undefined>) {
    this.#given = given;
  }

  /** A new stage has none of the other's arguments. */
  startStage(): void {
    this.#declared = new Map();
  }

  addMeta(key: string, value: string | undefined): void {
    this.#meta.set(key, value);
    this.#referenced.add(key);
  }

  add(key: string, value: string | undefined): void {
    this.#declared.set(key, value);
    this.#referenced.add(key);
  }

  /** For FROM and the arguments before it. */
  metaValues(): Map<string, string> {
    return this.#values(this.#meta);
  }

  /** `NAME=value` of those that the environment does not set. */
  outside(env: readonly string[]): string[] {
    const set = new Set(env.map((entry) => entry.split('=', 1)[0]));
    return [...this.#values(this.#declared)]
      .filter(([key]) => !set.has(key))
      .map(([key, value]) => `${key}=${value}`);
  }

  /** Predefined ones leave the cache alone unless they are declared. */
  countsForCache(key: string): boolean {
    return this.#declared.has(key) || !predefined.has(key);
  }

  /** Names the client gave and nothing used, sorted. */
  unused(): string[] {
    return [...this.#given.keys()].filter((key) => !this.#referenced.has(key) && !predefined.has(key)).sort();
  }

  #values(from: Values): Map<string, string> {
    const values = new Map<string, string>();
    for (const key of new Set([...from.keys(), ...predefined])) {
      const value = this.#given.get(key) ?? from.get(key) ?? this.#meta.get(key);
      if (value !== undefined) values.set(key, value);
    }
    return values;
  }
}
