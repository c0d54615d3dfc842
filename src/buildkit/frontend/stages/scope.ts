// The variables of a stage: its environment, which its image gets, and its arguments, which only its commands see.

import type { ImageState } from '../image/image-state';
import { environmentMap, type Variables } from '../words/variables';

export interface DeclaredArg {
  readonly name: string;
  /** Undefined: declared, and nobody gave a value. */
  readonly value: string | undefined;
}

export class Scope implements Variables {
  readonly #image: ImageState;
  readonly #args = new Map<string, string | undefined>();
  #environment: Map<string, string>;

  constructor(image: ImageState) {
    this.#image = image;
    this.#environment = environmentMap(image.config.Env ?? []);
  }

  /** The environment hides arguments. */
  get(name: string): string | undefined {
    return this.#environment.get(name) ?? this.#args.get(name);
  }

  names(): readonly string[] {
    return [...new Set([...this.#environment.keys(), ...this.#args.keys()])];
  }

  /** Also of arguments without a value. */
  isDeclared(name: string): boolean {
    return this.#environment.has(name) || this.#args.has(name);
  }

  setEnv(name: string, value: string): void {
    this.#image.setEnv(name, value);
    this.#environment.set(name, value);
  }

  declare({ name, value }: DeclaredArg): void {
    this.#args.delete(name);
    this.#args.set(name, value);
  }

  /** Arguments that a command sees, `NAME=value`, in the order in which they were declared. */
  arguments(): string[] {
    return [...this.#args].flatMap(([name, value]) =>
      value === undefined || this.#environment.has(name) ? [] : [`${name}=${value}`],
    );
  }

  /** What a command runs with. */
  environment(): string[] {
    return [...(this.#image.config.Env ?? []), ...this.arguments()];
  }
}
