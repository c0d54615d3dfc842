// One record of a log file, in the form of Docker's json-file driver: a JSON object a line. The extra member `at`
// says which bytes of the run are in the file up to here, so the file alone tells where a killed daemon goes on.

import { isUtf8 } from 'node:buffer';
import { formatAttributes } from './log-attributes';

export type LogStream = 'stdout' | 'stderr';

export interface LogRecord {
  /** The line with its newline, or a part of a long one without. */
  log: string;
  stream: LogStream;
  /** RFC3339Nano, UTC. */
  time: string;
  attrs?: Record<string, string>;
  /** `<run>:<end offset of stdout>:<end offset of stderr>`. */
  at?: string;
}

export interface RunOffsets {
  run: string;
  stdout: number;
  stderr: number;
}

/** Reads the member `at`; undefined if it is missing or not ours. */
export function parseRunOffsets(at: unknown): RunOffsets | undefined {
  const match = typeof at === 'string' ? /^(.*):(\d{1,15}):(\d{1,15})$/s.exec(at) : null;
  if (match === null) return undefined;
  return { run: match[1] ?? '', stdout: Number(match[2]), stderr: Number(match[3]) };
}

// What must be escaped: as Go's HTML-safe encoder. Non-ASCII needs a look at its encoding too.
const notPlain = /[^\x20-\x7f]|["\\<>&]/;
const notPlainExceptNewline = /[^\x20-\x7f\n]|["\\<>&]/;
const needsEscape = /[\x00-\x1f"\\<>&\u2028\u2029]/g;

/** True when every line of `latin1` goes into a JSON string as it is. */
export function isPlainText(latin1: string): boolean {
  return !notPlainExceptNewline.test(latin1);
}

function escapeChar(char: string): string {
  switch (char) {
    case '"':
      return '\\"';
    case '\\':
      return '\\\\';
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    default:
      return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  }
}

/** The inside of a JSON string for `bytes`; `latin1` is the same bytes as text. */
export function escapeBytes(bytes: Buffer, latin1: string): string {
  if (!notPlain.test(latin1)) return latin1;
  return decodeLikeGo(bytes).replace(needsEscape, escapeChar);
}

/** UTF-8 with one U+FFFD for each byte that belongs to no character, as Go ranges over a string. */
export function decodeLikeGo(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const size = characterBytes(bytes, at);
    if (size > 0) {
      at += size;
      continue;
    }
    text += `${bytes.toString('utf8', from, at)}\ufffd`;
    at += 1;
    from = at;
  }
  return text + bytes.toString('utf8', from);
}

/** Bytes of the character at `at`, 0 when it is not well-formed. */
function characterBytes(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + size)) && at + size <= bytes.length ? size : 0;
}

/** What follows the text of a record, up to `at`'s value: the same for every record of a stream and run but for the time. */
export function recordSuffix(stream: LogStream, attributesJson: string | undefined): string {
  const attrs = attributesJson === undefined ? '' : `"attrs":${attributesJson},`;
  return `","stream":"${stream}",${attrs}"time":"`;
}

/** The record as the client sees it: its text, and in front of it what was asked for. */
export function renderRecord(record: LogRecord, options: { timestamps: boolean; details: boolean }): Buffer {
  let line = record.log;
  if (!options.details && !options.timestamps) return Buffer.from(line, 'utf8');
  if (options.details) line = `${formatAttributes(record.attrs)} ${line}`;
  if (options.timestamps) line = `${fixedTimestamp(record.time)} ${line}`;
  return Buffer.from(line, 'utf8');
}

/** RFC 3339 with all nine digits of the fraction, as Docker prints log lines. */
export function fixedTimestamp(time: string): string {
  if (time.length === 30) return time;
  return `${time.slice(0, 19)}.${time.slice(20, -1).padEnd(9, '0')}Z`;
}

const closingBrace = 0x7d;
const logOpening = '{"log":"';
const streamOpening = '","stream":"';
const timeOpening = '"time":"';

/**
 * The records of `text`, whole lines each ended by a newline. Lines that are no record (a torn write, another
 * program's doing) are left out.
 */
export function parseRecords(text: string): LogRecord[] {
  const records: LogRecord[] = [];
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const record = parsePlainRecord(text, start, end) ?? parseRecord(text.slice(start, end));
    if (record !== undefined) records.push(record);
    start = end + 1;
  }
  return records;
}

/**
 * A record as this daemon writes most of them, several times faster than the JSON parser; undefined for any other.
 * Quotes inside a JSON string have a backslash before them, so `","stream":"` can't be part of the text.
 */
function parsePlainRecord(text: string, start: number, end: number): LogRecord | undefined {
  if (!text.startsWith(logOpening, start)) return undefined;
  const from = start + logOpening.length;
  const to = text.indexOf(streamOpening, from);
  if (to < 0 || to > end) return undefined;
  const complete = text.endsWith('\\n', to);
  const log = text.slice(from, complete ? to - 2 : to);
  if (log.includes('\\')) return undefined;
  const streamFrom = to + streamOpening.length;
  const stream = text.startsWith('stdout"', streamFrom) ? 'stdout' : 'stderr';
  // The stream, its quote and a comma; with attributes in between the JSON parser is asked.
  const timeFrom = streamFrom + stream.length + 2 + timeOpening.length;
  if (!text.startsWith(`${stream}",${timeOpening}`, streamFrom)) return undefined;
  const timeTo = text.indexOf('"', timeFrom);
  if (timeTo < 0 || timeTo > end || text.charCodeAt(end - 1) !== closingBrace) return undefined;
  return { log: complete ? `${log}\n` : log, stream, time: text.slice(timeFrom, timeTo) };
}

export function parseRecord(line: string): LogRecord | undefined {
  if (line === '') return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is LogRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { log, stream, time } = value as Partial<Record<keyof LogRecord, unknown>>;
  if (typeof log !== 'string' || typeof time !== 'string') return false;
  return stream === 'stdout' || stream === 'stderr';
}
