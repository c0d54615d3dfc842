// Parser directives (Dockerfile reference, "Parser directives"): comments of the form `# name=value` before everything else.

import { DockerfileProblem } from './problem';
import type { Lines } from './statement';

export interface Directive {
  readonly name: string;
  readonly value: string;
  readonly lines: Lines;
}

const known = ['syntax', 'escape', 'check'];
const pattern = /^#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(\S.*)$/;

/** Takes line after line until one is no directive. */
export class Directives {
  escape = '\\';
  readonly #found = new Map<string, Directive>();
  #isOver = false;

  /** Whether the line was one. Throws DockerfileProblem for a second one of a name. */
  look(line: string, number: number): boolean {
    if (this.#isOver) return false;
    const lines = { first: number, last: number };
    const [, given = '', value = ''] = pattern.exec(line.trim()) ?? [];
    const name = given.toLowerCase();
    if (!known.includes(name)) {
      this.#isOver = true;
      return false;
    }
    if (this.#found.has(name))
      throw new DockerfileProblem(`only one ${name} parser directive can be used`, lines);
    this.#found.set(name, { name, value: value.trim(), lines });
    if (name === 'escape') this.#setEscape(value.trim(), lines);
    return true;
  }

  get(name: string): Directive | undefined {
    return this.#found.get(name);
  }

  #setEscape(value: string, lines: Lines): void {
    if (value !== '`' && value !== '\\') {
      throw new DockerfileProblem(`invalid escape token '${value}' does not match \` or \\`, lines);
    }
    this.escape = value;
  }
}

/** `# syntax=` of a text that need not be a Dockerfile otherwise. */
export function syntaxOf(text: string): Directive | undefined {
  const directives = new Directives();
  let number = 0;
  for (const line of firstLines(text)) {
    number += 1;
    if (!directives.look(line, number)) break;
  }
  return directives.get('syntax');
}

function firstLines(text: string): string[] {
  return text.replace(/^\ufeff/, '').split('\n', known.length + 1);
}
