// The driver `syslog`: its options, and a line as RFC 3164 or RFC 5424 have it.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { invalid } from '../../../errors';
import type { LogLine } from './forwarding-writer';
import type { CollectorAddress, CollectorOptions } from './log-collector';

type Options = Readonly<Record<string, string>>;

export const syslogOptions = [
  'env',
  'env-regex',
  'labels',
  'labels-regex',
  'syslog-address',
  'syslog-facility',
  'syslog-tls-ca-cert',
  'syslog-tls-cert',
  'syslog-tls-key',
  'syslog-tls-skip-verify',
  'tag',
  'syslog-format',
];

const facilities = (
  'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp - - - - local0 local1 local2 local3 local4 local5 ' +
  'local6 local7'
).split(' ');
const formats = ['', 'rfc3164', 'rfc5424', 'rfc5424micro'];
const severities = { stdout: 6, stderr: 3 } as const;
const bufferBytes = 1 << 20;
const retryMs = 1000;

/** Throws InvalidParameter in Docker's words, for what is refused at create. */
export function validateSyslog(options: Options): void {
  const address = options['syslog-address'] ?? '';
  if (address !== '') parseAddress(address);
  facilityOf(options);
  if (!formats.includes(options['syslog-format'] ?? '')) throw invalid('Invalid syslog format');
}

/** Throws Internal for certificates that can't be read. */
export function syslogCollector(options: Options): CollectorOptions {
  const address = parseAddress(options['syslog-address'] ?? '');
  return { address: withCertificates(address, options), bufferBytes, retryMs };
}

function parseAddress(text: string): CollectorAddress {
  const [, scheme = '', rest = ''] = /^(tcp\+tls|tcp|udp|unixgram|unix):\/\/(.*)$/.exec(text) ?? [];
  if (text !== '' && scheme === '') {
    throw invalid(`syslog-address should be in form proto://address, got ${text}`);
  }
  if (scheme === '') return { kind: 'syslog' };
  if (scheme === 'unix' || scheme === 'unixgram') return { kind: scheme, path: rest };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:/]+))(?::(\d+))?$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw invalid(`address ${rest}: missing host in address`);
  const kind = scheme === 'tcp+tls' ? 'tls' : scheme === 'tcp' ? 'tcp' : 'udp';
  const where = { host, port: Number(port ?? 514) };
  return kind === 'tls' ? { kind, ...where, options: {} } : { kind, ...where };
}

function withCertificates(address: CollectorAddress, options: Options): CollectorAddress {
  if (address.kind !== 'tls') return address;
  const read = (name: string): Record<string, Buffer> => {
    const path = options[`syslog-tls-${name}`] ?? '';
    return path === '' ? {} : { [name === 'ca-cert' ? 'ca' : name]: readFileSync(path) };
  };
  const verify = (options['syslog-tls-skip-verify'] ?? '') === '';
  return {
    ...address,
    options: { ...read('ca-cert'), ...read('cert'), ...read('key'), rejectUnauthorized: verify },
  };
}

function facilityOf(options: Options): number {
  const text = options['syslog-facility'] ?? '';
  if (text === '') return facilities.indexOf('daemon');
  const index = /^\d+$/.test(text) ? Number(text) : text === '-' ? -1 : facilities.indexOf(text);
  if (index < 0 || index > 23) throw invalid('invalid syslog facility');
  return index;
}

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** Encodes lines with this tag. */
export function syslogEncoder(options: Options, tag: string): (line: LogLine) => Buffer[] {
  const facility = facilityOf(options);
  const format = options['syslog-format'] ?? '';
  const framed = format.startsWith('rfc5424') && (options['syslog-address'] ?? '').startsWith('tcp+tls:');
  const host = hostname();
  return ({ stream, text, timeMs }) => {
    const priority = `<${String(facility * 8 + severities[stream])}>`;
    const head = `${priority}${header(format, new Date(timeMs), host, tag)}`;
    const message = Buffer.concat([Buffer.from(head), text, Buffer.from('\n')]);
    return [framed ? Buffer.concat([Buffer.from(`${String(message.length)} `), message]) : message];
  };
}

function header(format: string, time: Date, host: string, tag: string): string {
  const pid = String(process.pid);
  if (format.startsWith('rfc5424')) {
    const iso = time.toISOString();
    const stamp = format === 'rfc5424micro' ? iso.replace('Z', '000Z') : iso.replace(/\.\d+/, '');
    return `1 ${stamp} ${host} ${tag} ${pid} ${tag} - `;
  }
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  const stamp = `${months[time.getMonth()] ?? ''} ${String(time.getDate()).padStart(2)} ${clock}`;
  return `${stamp} ${format === 'rfc3164' ? `${host} ` : ''}${tag}[${pid}]: `;
}
