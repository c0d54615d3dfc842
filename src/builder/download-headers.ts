// What a URL and the headers of its answer say of the file: its name and its time, read as Go's net/url, mime and
// net/http read them.

import { goQuote } from '../go/quote';

const token = "[!#$%&'*+\\-.^_`{|}~0-9A-Za-z]+";
const mediaType = new RegExp(`^\\s*${token}(?:/${token})?\\s*(?=;|$)`);
const parameter = new RegExp(`^\\s*;\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\\\r\\n]|\\\\.)*)"|(${token}))\\s*`);

/** Why Go takes a text for no URL; undefined when it is one. Of what can be wrong, the likely. */
export function urlProblem(text: string): string | undefined {
  const problem = problemOf(text);
  return problem === undefined ? undefined : `parse ${goQuote(text)}: ${problem}`;
}

function problemOf(text: string): string | undefined {
  if (/[\0-\x1f\x7f]/.test(text)) return 'net/url: invalid control character in URL';
  const [, authority = '', path = ''] = /^https?:\/\/([^/?#]*)([^?#]*)/.exec(text) ?? [];
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  if (host.startsWith('[') && !host.includes(']')) return "missing ']' in host";
  const [, port = ''] = /(:[^:\]]*)$/.exec(host) ?? [];
  if (port !== '' && !/^:\d*$/.test(port)) return `invalid port ${goQuote(port)} after host`;
  const [escape] = /%(?![0-9A-Fa-f]{2}).{0,2}/s.exec(path) ?? [];
  return escape === undefined ? undefined : `invalid URL escape ${goQuote(escape)}`;
}

/** In the form of names in trees; '' if neither the URL nor `Content-Disposition` says one. */
export function fileNameOf(url: string, disposition: string): string {
  const [, path = ''] = /^https?:\/\/[^/?#]*([^?#]*)/.exec(url) ?? [];
  return (
    lastPart(unescapePercent(Buffer.from(path).toString('latin1'))) || lastPart(fileParameter(disposition))
  );
}

/** '' for what ends in a slash: that is a directory. */
function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The `filename` of a Content-Disposition, '' if it has none or is not well formed (RFC 6266). */
function fileParameter(disposition: string): string {
  const [type] = mediaType.exec(disposition) ?? [];
  if (type === undefined) return '';
  const parameters = new Map<string, string>();
  let rest = disposition.slice(type.length);
  while (rest.replace(/^\s*;/, '').trim() !== '') {
    const [all, key = '', quoted, bare = ''] = parameter.exec(rest) ?? [];
    const name = key.toLowerCase();
    if (all === undefined || parameters.has(name)) return '';
    parameters.set(name, quoted?.replace(/\\([()<>@,;:\\"/[\]?=])/g, '$1') ?? bare);
    rest = rest.slice(all.length);
  }
  const [, encoded] = /^(?:us-ascii|utf-8)'[^']*'(.*)$/is.exec(parameters.get('filename*') ?? '') ?? [];
  return encoded === undefined ? (parameters.get('filename') ?? '') : unescapePercent(encoded);
}

function unescapePercent(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** Seconds since the epoch of a `Last-Modified` in one of HTTP's three forms (RFC 9110, 5.6.7); else 0. */
export function modifiedSeconds(header: string): number {
  const [, day, month, year, time] =
    /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT$/.exec(header) ??
    /^[A-Z][a-z]+day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) [A-Z]{3,4}$/.exec(header) ??
    reordered(/^[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})$/.exec(header));
  const ms = Date.parse(`${day ?? ''} ${month ?? ''} ${fullYear(year ?? '')} ${time ?? ''} GMT`);
  return Number.isNaN(ms) ? 0 : Math.max(0, Math.floor(ms / 1000)); // dockerd sets no time before the epoch
}

function reordered(match: RegExpExecArray | null): (string | undefined)[] {
  const [all, month, day, time, year] = match ?? [];
  return [all, day, month, year, time];
}

/** Go takes 69 to 99 for the years after 1969. */
function fullYear(year: string): string {
  return year.length !== 2 ? year : `${Number(year) >= 69 ? '19' : '20'}${year}`;
}
