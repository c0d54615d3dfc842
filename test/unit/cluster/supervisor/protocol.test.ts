// Both halves of the contract have the same numbers.

import { readFileSync } from 'node:fs';
import * as protocol from '../../../../src/cluster/supervisor/protocol';

const header = readFileSync('protocol/supervisor.h', 'utf8');
function valueOf(name: string): number {
  const text = new RegExp(`^#define ${name} (.+)$`, 'm').exec(header)?.[1] ?? 'missing';
  const factors = text.replace(/[()]/g, '').split(' * ');
  return factors
    .map((factor) => (/^\d+$/.test(factor) ? Number(factor) : valueOf(factor)))
    .reduce((a, b) => a * b);
}

test.each([
  ['SESSION_HEADER_BYTES', protocol.frameHeaderBytes],
  ['SESSION_DATA_BYTES', protocol.maxDataBytes],
  ['SESSION_REQUEST_BYTES', protocol.maxRequestBytes],
  ['SESSION_INPUT_AHEAD_BYTES', protocol.inputAheadBytes],
  ['SESSION_REQUEST', protocol.frameKinds.request],
  ['SESSION_INPUT', protocol.frameKinds.input],
  ['SESSION_INPUT_END', protocol.frameKinds.inputEnd],
  ['SESSION_RESIZE', protocol.frameKinds.resize],
  ['SESSION_PING', protocol.frameKinds.ping],
  ['SESSION_REPLY', protocol.frameKinds.reply],
  ['SESSION_FAILURE', protocol.frameKinds.failure],
  ['SESSION_RECORDS', protocol.frameKinds.records],
  ['SESSION_STDOUT', protocol.frameKinds.stdout],
  ['SESSION_STDERR', protocol.frameKinds.stderr],
  ['SESSION_EXIT', protocol.frameKinds.exit],
  ['SESSION_END', protocol.frameKinds.end],
  ['SESSION_PONG', protocol.frameKinds.pong],
  ['SESSION_TAKEN', protocol.frameKinds.taken],
  ['RECORD_HEADER_BYTES', protocol.recordHeaderBytes],
  ['RECORD_TRAILER_BYTES', protocol.recordTrailerBytes],
  ['RECORD_STDOUT', protocol.recordKinds.stdout],
  ['RECORD_STDERR', protocol.recordKinds.stderr],
  ['RECORD_STATE', protocol.recordKinds.state],
  ['RECORD_FLAG_END', protocol.recordEndFlag],
  ['RECORD_LINE_BYTES', protocol.recordLineBytes],
  ['RECORD_MOST_BYTES', protocol.recordMostBytes],
])('%s', (name, value) => expect(valueOf(name)).toBe(value));
