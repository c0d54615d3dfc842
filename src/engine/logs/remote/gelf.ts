// The driver `gelf`: its options, and a line as a message of the Graylog Extended Log Format 1.1: over TCP ended by NUL, over UDP
// compressed, and in chunks where it is longer than a datagram.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { constants, deflateSync, gzipSync } from 'node:zlib';
import { invalid } from '../../../errors';
import { goQuote } from '../../../go/quote';
import type { LogSubject } from '../../../semantics/logs/log-attributes';
import type { LogLine } from './forwarding-writer';
import type { CollectorOptions } from './log-collector';

type Options = Readonly<Record<string, string>>;

export const gelfOptions = [
  'env',
  'env-regex',
  'labels',
  'labels-regex',
  'tag',
  'gelf-address',
  'gelf-compression-level',
  'gelf-compression-type',
  'gelf-tcp-max-reconnect',
  'gelf-tcp-reconnect-delay',
];

const bufferBytes = 1 << 20;
const retryMs = 1000;
const severities = { stdout: 6, stderr: 3 } as const;
/** Of a datagram, which fits into the packets of most networks. */
const chunkBytes = 1420;
const chunkHeaderBytes = 12;
const maxChunks = 128;

/** Throws InvalidParameter in Docker's words. */
export function gelfCollector(options: Options): CollectorOptions {
  const text = options['gelf-address'] ?? '';
  if (text === '') throw invalid('gelf-address is a required parameter');
  const [, scheme = '', rest = ''] = /^(\w+):\/\/([^/]*)$/.exec(text) ?? [];
  if (scheme === '') throw invalid(`gelf-address should be in form proto://address, got ${text}`);
  if (scheme !== 'udp' && scheme !== 'tcp') throw invalid('gelf: endpoint needs to be UDP or TCP');
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw invalid('gelf: please provide gelf-address as proto://host:port');
  requireCompression(options, scheme);
  const delay = tcpNumber(options, 'gelf-tcp-reconnect-delay', scheme);
  tcpNumber(options, 'gelf-tcp-max-reconnect', scheme);
  return {
    address: { kind: scheme, host, port: Number(port) },
    bufferBytes,
    retryMs: delay === undefined ? retryMs : Math.max(delay * 1000, 10),
  };
}

function requireCompression(options: Options, scheme: string): void {
  const { 'gelf-compression-level': level, 'gelf-compression-type': type } = options;
  if ((level !== undefined || type !== undefined) && scheme !== 'udp') {
    throw invalid('compression is only supported on UDP');
  }
  const unknown = (name: string, value: string): Error =>
    invalid(`unknown value ${goQuote(value)} for log opt ${goQuote(name)} for gelf log driver`);
  if (level !== undefined && !/^(-1|\d)$/.test(level)) throw unknown('gelf-compression-level', level);
  if (type !== undefined && !['gzip', 'zlib', 'none'].includes(type))
    throw unknown('gelf-compression-type', type);
}

function tcpNumber(options: Options, name: string, scheme: string): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (scheme !== 'tcp') throw invalid(`${goQuote(name)} is only valid for TCP`);
  if (!/^\+?\d+$/.test(value)) throw invalid(`${goQuote(name)} must be a positive integer`);
  return Number(value);
}

/** Encodes lines of this container: each into the datagrams, or the one piece of a stream, that it takes. */
export function gelfEncoder(
  options: Options,
  tag: string,
  subject: LogSubject,
  attributes: Readonly<Record<string, string>>,
): (line: LogLine) => Buffer[] {
  const extra = {
    _container_id: subject.id,
    _container_name: subject.name,
    _image_id: subject.imageId,
    _image_name: subject.imageName,
    _command: [subject.path, ...subject.args].join(' '),
    _tag: tag,
    _created: subject.createdAt,
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`_${name}`, value])),
  };
  const isStream = (options['gelf-address'] ?? '').startsWith('tcp:');
  const compress = compressor(options);
  const host = hostname();
  return ({ stream, text, timeMs }) => {
    const message = {
      version: '1.1',
      host,
      short_message: text.toString(),
      timestamp: timeMs / 1000,
      level: severities[stream],
      ...extra,
    };
    const json = Buffer.from(JSON.stringify(message));
    return isStream ? [Buffer.concat([json, Buffer.alloc(1)])] : inChunks(compress(json));
  };
}

function compressor(options: Options): (data: Buffer) => Buffer {
  const level = Number(options['gelf-compression-level'] ?? constants.Z_BEST_SPEED);
  switch (options['gelf-compression-type'] ?? 'gzip') {
    case 'none':
      return (data) => data;
    case 'zlib':
      return (data) => deflateSync(data, { level });
    default:
      return (data) => gzipSync(data, { level });
  }
}

/** A message of more chunks than there may be is lost, as no collector would take it. */
function inChunks(data: Buffer): Buffer[] {
  if (data.length <= chunkBytes) return [data];
  const room = chunkBytes - chunkHeaderBytes;
  const count = Math.ceil(data.length / room);
  if (count > maxChunks) return [];
  const id = randomBytes(8);
  return Array.from({ length: count }, (_, index) =>
    Buffer.concat([
      Buffer.from([0x1e, 0x0f]),
      id,
      Buffer.from([index, count]),
      data.subarray(index * room, (index + 1) * room),
    ]),
  );
}
