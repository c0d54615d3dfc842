// Words of Dockerfile instructions: logical lines, quotes, escapes and variables, as Docker's parser reads them.

import { DaemonError } from '../errors';
import { parseFirstValue } from '../go/json';
import { goQuote } from '../go/quote';

/** Instructions with continued lines joined; without comments and blank lines. */
export function logicalLines(text: string): string[] {
  const lines: string[] = [];
  let open = '';
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, continued] = /^(.*)\\[ \t]*$/.exec(line) ?? [];
    if (continued !== undefined) {
      open += continued;
      continue;
    }
    lines.push((open + line).trim());
    open = '';
  }
  if (open.trim() !== '') lines.push(open.trim());
  return lines;
}

/** Splits at white space that is neither quoted nor escaped; quotes stay for `expandWord`. */
export function splitWords(text: string, escape = '\\'): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let i = 0; i < text.length; i += 1) {
    const char = text.charAt(i);
    if (quote === '' && isSpace(char)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    // an escape at the very end is dropped
    if (char === escape && quote !== "'" && i + 1 === text.length) continue;
    word += char;
    if (char === escape && quote !== "'") {
      i += 1;
      word += text.charAt(i);
    } else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (word !== '') words.push(word);
  return words;
}

/** Go's unicode.IsSpace: to JavaScript a byte order mark is one too, and a next line (U+0085) is none. */
export function isSpace(char: string): boolean {
  return char === '\u0085' || (char !== '' && char !== '\ufeff' && /\s/.test(char));
}

/** Undefined for what is not meant as JSON. What follows the array is ignored, as Docker does. */
export function jsonArray(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = parseFirstValue(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (value.every((item) => typeof item === 'string')) return value;
  throw new DaemonError(
    'InvalidParameter',
    'when using JSON array syntax, arrays must be comprised of strings only',
  );
}

/** Of a variable: digits, one of the shell's special parameters, or what begins with a letter, of whatever script. */
const namePattern = /\p{Nd}+|[@*#?$!-]|[\p{L}_][\p{L}\p{Nd}_]*/uy;

/** Takes quotes and escapes off and puts variables in. Throws InvalidParameter in Docker's words. */
export function expandWord(raw: string, variables: ReadonlyMap<string, string>, escape = '\\'): string {
  const fail = (why: string): DaemonError =>
    new DaemonError('InvalidParameter', `failed to process ${goQuote(raw)}: ${why}`);
  let at = 0;

  function variable(): string {
    at += 1; // the dollar sign
    if (raw.charAt(at) === '{') return substitution();
    const name = variableName();
    return name === '' ? '$' : (variables.get(name) ?? '');
  }

  /** Takes it; '' if none begins here. */
  function variableName(): string {
    namePattern.lastIndex = at;
    const [name = ''] = namePattern.exec(raw) ?? [];
    at += name.length;
    return name;
  }

  function substitution(): string {
    at += 1; // the brace
    if (at >= raw.length) throw fail("syntax error: missing '}'");
    if ('{}:'.includes(raw.charAt(at))) throw fail('syntax error: bad substitution');
    const name = variableName();
    const value = variables.get(name) ?? '';
    if (raw.charAt(at) === '}') {
      at += 1;
      return value;
    }
    const colon = raw.charAt(at) === ':';
    if (!colon && raw.charAt(at) !== '?') throw fail("missing ':' in substitution");
    const [modifier = ''] = raw.slice(colon ? at + 1 : at);
    at += (colon ? 1 : 0) + modifier.length;
    const word = until('}', "syntax error: missing '}'");
    if (!['-', '+', '?'].includes(modifier)) throw fail(`unsupported modifier (${modifier}) in substitution`);
    const isSet = value !== '';
    switch (modifier) {
      case '+':
        return isSet ? word : '';
      case '-':
        return isSet ? value : word;
      default:
        if (!variables.has(name)) throw fail(`${name}: ${word || 'is not allowed to be unset'}`);
        if (colon && !isSet) throw fail(`${name}: ${word || 'is not allowed to be empty'}`);
        return value;
    }
  }

  function doubleQuoted(): string {
    at += 1;
    return until('"', 'unexpected end of statement while looking for matching double-quote', true);
  }

  function singleQuoted(): string {
    const end = raw.indexOf("'", at + 1);
    if (end < 0) throw fail('unexpected end of statement while looking for matching single-quote');
    const text = raw.slice(at + 1, end);
    at = end + 1;
    return text;
  }

  function until(stop: string, complaint: string, quoted = false): string {
    let result = '';
    for (;;) {
      const char = raw.charAt(at);
      if (char === stop) {
        at += 1;
        return result;
      }
      if (char === '') {
        if (stop === '') return result;
        throw fail(complaint);
      }
      if (char === '$') result += variable();
      else if (char === escape) {
        const next = raw.charAt(at + 1);
        result += quoted && next !== '"' && next !== '$' && next !== escape ? char + next : next;
        at += 2;
      } else if (!quoted && char === '"') result += doubleQuoted();
      else if (!quoted && char === "'") result += singleQuoted();
      else {
        result += char;
        at += 1;
      }
    }
  }

  return until('', '');
}
