// The driver `fluentd`: its options, and a line as a message of the forward protocol.

import { encode } from '@msgpack/msgpack';
import { DaemonError, invalid } from '../../../errors';
import { goBoolProblem, parseGoBool } from '../../../go/bool';
import { parseGoDuration } from '../../../go/duration';
import { goQuote } from '../../../go/quote';
import { parseRamSize } from '../../../go/size-format';
import type { LogLine } from './forwarding-writer';
import type { CollectorAddress, CollectorOptions } from './log-collector';

type Options = Readonly<Record<string, string>>;

export const fluentdOptions = [
  'env',
  'env-regex',
  'labels',
  'labels-regex',
  'tag',
  'fluentd-address',
  'fluentd-async',
  'fluentd-async-connect',
  'fluentd-buffer-limit',
  'fluentd-retry-wait',
  'fluentd-max-retries',
  'fluentd-request-ack',
  'fluentd-sub-second-precision',
];

const defaultPort = 24_224;
const defaultBufferBytes = 1 << 20;
const defaultRetryNs = 1e9;

function isTrue(text: string | undefined): boolean {
  return parseGoBool(text ?? '') === true;
}

/** The container starts without a connection, which is made in the background. */
export function isAsync(options: Options): boolean {
  return isTrue(options['fluentd-async']) || isTrue(options['fluentd-async-connect']);
}

/** Throws InvalidParameter, in Docker's words, for what is refused at create. */
export function fluentdCollector(options: Options): CollectorOptions {
  if (options['fluentd-async'] !== undefined && options['fluentd-async-connect'] !== undefined) {
    throw invalid('conflicting options: cannot specify both fluentd-async and fluentd-async-connect');
  }
  for (const name of [
    'fluentd-async',
    'fluentd-async-connect',
    'fluentd-request-ack',
    'fluentd-sub-second-precision',
  ]) {
    const value = options[name];
    if (value !== undefined && parseGoBool(value) === undefined) throw invalid(goBoolProblem(value));
  }
  if (isTrue(options['fluentd-request-ack'])) {
    throw new DaemonError('NotImplemented', 'fluentd-request-ack is not supported');
  }
  const retries = options['fluentd-max-retries'] ?? '';
  if (retries !== '' && !/^\d+$/.test(retries)) {
    throw invalid(`strconv.ParseUint: parsing ${goQuote(retries)}: invalid syntax`);
  }
  const limit = options['fluentd-buffer-limit'] ?? '';
  const bufferBytes = limit === '' ? defaultBufferBytes : parseRamSize(limit);
  if (bufferBytes === undefined) throw invalid(`invalid size: '${limit}'`);
  const wait = options['fluentd-retry-wait'] ?? '';
  const retryNs = wait === '' ? defaultRetryNs : parseGoDuration(wait);
  if (retryNs === undefined) throw invalid(`time: invalid duration ${goQuote(wait)}`);
  return {
    address: parseAddress(options['fluentd-address'] ?? ''),
    bufferBytes,
    retryMs: Math.max(retryNs / 1e6, 10),
  };
}

function parseAddress(text: string): CollectorAddress {
  if (text === '') return { kind: 'tcp', host: '127.0.0.1', port: defaultPort };
  const [, scheme = 'tcp', rest = ''] = /^(?:(\w+):\/\/)?(.*)$/.exec(text) ?? [];
  if (scheme === 'unix') return { kind: 'unix', path: rest };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:/]+))(?::(\d+))?$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  if (scheme !== 'tcp' || host === undefined) {
    throw invalid(`invalid fluentd-address ${text}: should be in form tcp://host:port or unix:///path`);
  }
  return { kind: 'tcp', host, port: Number(port ?? defaultPort) };
}

/** Encodes lines of this container: `[tag, time, record]`. */
export function fluentdEncoder(
  tag: string,
  subject: { id: string; name: string },
  attributes: Readonly<Record<string, string>>,
): (line: LogLine) => Buffer[] {
  return ({ stream, text, partial, timeMs }) => [
    Buffer.from(
      encode([
        tag,
        Math.floor(timeMs / 1000),
        {
          container_id: subject.id,
          container_name: `/${subject.name}`,
          source: stream,
          log: text.toString(),
          ...attributes,
          ...(partial ? { partial_message: 'true' } : {}),
        },
      ]),
    ),
  ];
}
