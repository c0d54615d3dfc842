// The variables of a stage: its environment, which its image gets, and its arguments, which only its commands see. What was set last
// counts, whichever of both it is.

import type { ImageState } from '../image/image-state';
import { environmentMap, type Variables } from '../words/variables';
import { isForBuilder } from './automatic-args';

export interface DeclaredArg {
  readonly name: string;
  /** Undefined: declared, and nobody gave a value. */
  readonly value: string | undefined;
}

export class Scope implements Variables {
  readonly #image: ImageState;
  readonly #args: Set<string>;
  /** In the order in which commands get them: the last that was set is the last. */
  readonly #values: Map<string, string>;
  /** Of arguments that speak to the builder: no command sees them. */
  readonly #forBuilder: Map<string, string>;

  /** `base`: of the stage that this one goes on from, whose arguments it has too. */
  constructor(image: ImageState, base?: Scope) {
    this.#image = image;
    this.#args = new Set(base === undefined ? [] : base.#args);
    this.#values = base === undefined ? environmentMap(image.config.Env ?? []) : new Map(base.#values);
    this.#forBuilder = new Map(base === undefined ? [] : base.#forBuilder);
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  names(): readonly string[] {
    return [...new Set([...this.#values.keys(), ...this.#args])];
  }

  /** Also of arguments without a value. */
  isDeclared(name: string): boolean {
    return this.#values.has(name) || this.#args.has(name);
  }

  setEnv(name: string, value: string): void {
    this.#image.setEnv(name, value);
    this.#set(name, value);
  }

  declare({ name, value }: DeclaredArg): void {
    this.#args.add(name);
    if (value === undefined) return;
    if (isForBuilder(name)) this.#forBuilder.set(name, value);
    else this.#set(name, value);
  }

  forBuilder(name: string): string | undefined {
    return this.#forBuilder.get(name);
  }

  /** Arguments with the values that commands see, in the order in which they were declared: what history tells. */
  arguments(): string[] {
    return [...this.#args].map((name) => `${name}=${this.#values.get(name) ?? ''}`);
  }

  /** What a command runs with. */
  environment(): string[] {
    return [...this.#values].map(([name, value]) => `${name}=${value}`);
  }

  #set(name: string, value: string): void {
    this.#values.delete(name);
    this.#values.set(name, value);
  }
}
