// The driver `journald`: a line as an entry of the host's journal, in its native protocol: NAME=VALUE, or the value's length in
// binary where it may have a newline (systemd's JOURNAL_NATIVE_PROTOCOL).

import { existsSync } from 'node:fs';
import type { LogSubject } from '../../../semantics/logs/log-attributes';
import type { LogLine } from './forwarding-writer';
import type { CollectorOptions } from './log-collector';

export const journaldOptions = ['env', 'env-regex', 'labels', 'labels-regex', 'tag'];

const socketPath = '/run/systemd/journal/socket';
const bufferBytes = 1 << 20;
const retryMs = 1000;
const severities = { stdout: 6, stderr: 3 } as const;

/** Whether this host has a journal. */
export function hasJournal(path = socketPath): boolean {
  return existsSync(path);
}

export function journaldCollector(): CollectorOptions {
  return { address: { kind: 'unixgram', path: socketPath }, bufferBytes, retryMs };
}

/** Encodes lines of this container. */
export function journaldEncoder(
  tag: string,
  subject: LogSubject,
  attributes: Readonly<Record<string, string>>,
): (line: LogLine) => Buffer[] {
  const own: Record<string, string> = {
    CONTAINER_ID: subject.id.slice(0, 12),
    CONTAINER_ID_FULL: subject.id,
    CONTAINER_NAME: subject.name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: subject.imageName,
    SYSLOG_IDENTIFIER: tag,
  };
  for (const [name, value] of Object.entries(attributes)) own[fieldName(name)] = value;
  const fields = Buffer.concat(Object.entries(own).map(([name, value]) => field(name, Buffer.from(value))));
  return ({ stream, text, partial }) => [
    Buffer.concat([
      field('MESSAGE', text),
      field('PRIORITY', Buffer.from(String(severities[stream]))),
      ...(partial ? [field('CONTAINER_PARTIAL_MESSAGE', Buffer.from('true'))] : []),
      fields,
    ]),
  ];
}

/** As dockerd makes names that the journal takes: capitals, digits and underscores, no underscore first. */
function fieldName(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}

function field(name: string, value: Buffer): Buffer {
  if (!value.includes(0x0a)) return Buffer.concat([Buffer.from(`${name}=`), value, Buffer.from('\n')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from('\n')]);
}
