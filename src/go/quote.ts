// Text in quotes as Go prints it (strconv.Quote), for messages that clients know from dockerd.

const escapes: Readonly<Record<string, string>> = {
  '"': String.raw`\"`,
  '\\': String.raw`\\`,
  '\x07': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
};

/** Go's %q: what can't be printed is escaped. */
export function goQuote(text: string): string {
  const escaped = text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character: string) => {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xd800 && code < 0xe000) return '\ufffd'; // half a pair: Go has no such text
    const hex = (digits: number): string => code.toString(16).padStart(digits, '0');
    const numbered = code < 0x80 ? `\\x${hex(2)}` : code < 0x1_0000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
    return escapes[character] ?? numbered;
  });
  return `"${escaped}"`;
}
