// Variables, quotes and escapes in words (Dockerfile reference, "Environment replacement").

import { goQuote } from '../../../go/quote';
import { DockerfileProblem } from '../text/problem';
import { TextPattern } from './patterns';
import type { Variables } from './variables';

export interface ExpandOptions {
  readonly escape: string;
  /** Quotes stay where they are. */
  readonly keepsQuotes?: boolean;
  /** Quotes are characters like any other. */
  readonly ignoresQuotes?: boolean;
  /** Escapes stay before what they escape. */
  readonly keepsEscapes?: boolean;
  /** Variables without a value stay as they are written. */
  readonly keepsUnset?: boolean;
}

export interface Expanded {
  readonly text: string;
  /** Variables that had no value and no other was given for. */
  readonly unset: ReadonlySet<string>;
}

const maxDepth = 100;
/** Of a word: variables of variables may double each time. */
const maxLength = 1024 * 1024;
/** Of a variable: digits, one of the shell's special parameters, or what begins with a letter, of whatever script. */
const namePattern = /\p{Nd}+|[@*#?$!-]|[\p{L}_][\p{L}\p{Nd}_]*/uy;

/** Throws DockerfileProblem in BuildKit's words. */
export function expandWord(raw: string, variables: Variables, options: ExpandOptions): Expanded {
  return new Expansion(raw, variables, options).run();
}

class Expansion {
  readonly #raw: string;
  readonly #variables: Variables;
  readonly #options: ExpandOptions;
  readonly #unset = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(raw: string, variables: Variables, options: ExpandOptions) {
    this.#raw = raw;
    this.#variables = variables;
    this.#options = options;
  }

  run(): Expanded {
    // most words have none of these
    const isPlain = !/[$'"]/.test(this.#raw) && !this.#raw.includes(this.#options.escape);
    return { text: isPlain ? this.#raw : this.#until(''), unset: this.#unset };
  }

  /** Up to the character, which is taken too; '' is the end. */
  #until(stop: string, { quoted = false, complaint = '' } = {}): string {
    const { ignoresQuotes = false } = this.#options;
    const parts: string[] = [];
    let length = 0;
    const add = (text: string): void => {
      length += text.length;
      if (length > maxLength) throw this.#failed('too long when expanded');
      parts.push(text);
    };
    this.#depth += 1;
    if (this.#depth > maxDepth) throw this.#failed('nested too deeply');
    for (;;) {
      const char = this.#raw.charAt(this.#at);
      if (char === '' && stop !== '') throw this.#failed(complaint);
      if (char === stop) break;
      if (char === '$') add(this.#variable());
      else if (char === this.#options.escape) add(this.#escaped(quoted));
      else if (!quoted && !ignoresQuotes && char === '"') add(this.#doubleQuoted());
      else if (!quoted && !ignoresQuotes && char === "'") add(this.#singleQuoted());
      else {
        add(char);
        this.#at += 1;
      }
    }
    this.#at += 1;
    this.#depth -= 1;
    return parts.join('');
  }

  #escaped(quoted: boolean): string {
    const { escape, keepsEscapes = false } = this.#options;
    const next = this.#raw.charAt(this.#at + 1);
    this.#at += 2;
    // one at the very end is dropped
    if (next === '') return keepsEscapes ? escape : '';
    const isKept = keepsEscapes || (quoted && next !== '"' && next !== '$' && next !== escape);
    return isKept ? escape + next : next;
  }

  #doubleQuoted(): string {
    this.#at += 1;
    const complaint = 'unexpected end of statement while looking for matching double-quote';
    const text = this.#until('"', { quoted: true, complaint });
    return this.#options.keepsQuotes === true ? `"${text}"` : text;
  }

  #singleQuoted(): string {
    const end = this.#raw.indexOf("'", this.#at + 1);
    if (end < 0) throw this.#failed('unexpected end of statement while looking for matching single-quote');
    const text = this.#raw.slice(this.#at + 1, end);
    this.#at = end + 1;
    return this.#options.keepsQuotes === true ? `'${text}'` : text;
  }

  #variable(): string {
    const start = this.#at;
    this.#at += 1;
    if (this.#raw.charAt(this.#at) === '{') return this.#substitution(start);
    const name = this.#name();
    if (name === '') return '$';
    return this.#value(name, start);
  }

  /** What was read from `start` on is of this variable. */
  #value(name: string, start: number): string {
    const value = this.#variables.get(name);
    if (value !== undefined) return value;
    this.#unset.add(name);
    return this.#options.keepsUnset === true ? this.#raw.slice(start, this.#at) : '';
  }

  #name(): string {
    namePattern.lastIndex = this.#at;
    const [name = ''] = namePattern.exec(this.#raw) ?? [];
    this.#at += name.length;
    return name;
  }

  #substitution(start: number): string {
    this.#at += 1;
    const next = this.#raw.charAt(this.#at);
    if (next === '') throw this.#failed("syntax error: missing '}'");
    if ('{}:'.includes(next)) throw this.#failed('syntax error: bad substitution');
    const name = this.#name();
    switch (this.#raw.charAt(this.#at)) {
      case '}':
        this.#at += 1;
        return this.#value(name, start);
      case ':':
        this.#at += 1;
        return this.#alternative(name, start, { emptyIsUnset: true });
      case '+':
      case '-':
      case '?':
        return this.#alternative(name, start, { emptyIsUnset: false });
      case '#':
      case '%':
        return this.#trimmed(name, start);
      case '/':
        return this.#replaced(name, start);
      case '':
        throw this.#failed("syntax error: missing '}'");
      default:
        throw this.#failed(`unsupported modifier (${this.#raw.charAt(this.#at)}) in substitution`);
    }
  }

  /** `-`, `+` and `?`. */
  #alternative(name: string, start: number, { emptyIsUnset }: { emptyIsUnset: boolean }): string {
    const modifier = this.#raw.charAt(this.#at);
    this.#at += 1;
    const word = this.#until('}', { complaint: "syntax error: missing '}'" });
    const value = this.#variables.get(name);
    const isSet = value !== undefined && !(emptyIsUnset && value === '');
    switch (modifier) {
      case '+':
        return isSet ? word : '';
      case '-':
        return isSet ? value : word;
      case '?':
        if (isSet) return value;
        if (value === undefined) {
          this.#unset.add(name);
          if (this.#options.keepsUnset === true) return this.#raw.slice(start, this.#at);
        }
        throw this.#failed(
          `${name}: ${word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`}`,
        );
      default:
        throw this.#failed(`unsupported modifier (${modifier}) in substitution`);
    }
  }

  #trimmed(name: string, start: number): string {
    const modifier = this.#raw.charAt(this.#at);
    this.#at += 1;
    const isTwice = this.#raw.charAt(this.#at) === modifier;
    if (isTwice) this.#at += 1;
    const pattern = this.#pattern('}');
    this.#at += 1;
    const value = this.#variables.get(name);
    if (value === undefined) return this.#value(name, start);
    const which = isTwice ? 'longest' : 'shortest';
    return modifier === '#' ? pattern.withoutPrefix(value, which) : pattern.withoutSuffix(value, which);
  }

  #replaced(name: string, start: number): string {
    this.#at += 1;
    const all = this.#raw.charAt(this.#at) === '/';
    if (all) this.#at += 1;
    const pattern = this.#pattern('/');
    this.#at += 1;
    const replacement = this.#until('}', { complaint: "syntax error: missing '}'" });
    const value = this.#variables.get(name);
    if (value === undefined) return this.#value(name, start);
    return pattern.replace(value, replacement, { all });
  }

  /** Up to the character, with variables in it; escapes are the pattern's. */
  #pattern(stop: string): TextPattern {
    const { escape } = this.#options;
    const parts: string[] = [];
    for (;;) {
      const char = this.#raw.charAt(this.#at);
      if (char === '') {
        throw this.#failed(
          stop === '}' ? "syntax error: missing '}'" : `syntax error: missing '${stop}' in \${}`,
        );
      }
      if (char === stop) return new TextPattern(parts.join(''), escape);
      if (char === '$') parts.push(this.#variable());
      else if (char === escape) {
        parts.push(char, this.#raw.charAt(this.#at + 1));
        this.#at += 2;
      } else {
        parts.push(char);
        this.#at += 1;
      }
    }
  }

  #failed(reason: string): DockerfileProblem {
    return new DockerfileProblem(`failed to process ${goQuote(this.#raw)}: ${reason}`);
  }
}

/** For words that may become several (EXPOSE, …): expanded, then split at white space outside of quotes. */
export function expandWords(raw: string, variables: Variables, options: ExpandOptions): string[] {
  const { text } = expandWord(raw, variables, options);
  return text.split(/\s+/).filter((word) => word !== '');
}
