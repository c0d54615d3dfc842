// The records of a container's log, as they come from its supervisor.

import { SupervisorProtocolError } from './frame';
import {
  recordEndFlag,
  recordHeaderBytes,
  recordKinds,
  recordMostBytes,
  recordTrailerBytes,
} from './protocol';
import { booleanField, integerField, parseObject, textField } from './replies';

export type OutputStream = 'stdout' | 'stderr';

/** Of the log, in order. Times are nanoseconds since the epoch. */
export type LogEvent =
  /**
   * One line, a part of one, or several. `ends`: the last one ends here, or has so many bytes that dockerd cuts it here. `position`:
   * of what comes after the record.
   */
  | { kind: 'output'; stream: OutputStream; data: Buffer; ends: boolean; timeNs: bigint; position: number }
  | { kind: 'started'; run: number; pid: number; timeNs: bigint; position: number }
  | {
      kind: 'exited';
      run: number;
      code: number;
      signal: number;
      oom: boolean;
      timeNs: bigint;
      position: number;
    };

export interface LogBatch {
  /** Where it begins: later than where the one before ended if the log's bounds have dropped what was in between. */
  position: number;
  events: LogEvent[];
}

const positionBytes = 8;

/** Throws SupervisorProtocolError for what is no whole number of records. */
export function parseRecords(content: Buffer): LogBatch {
  if (content.length < positionBytes) throw new SupervisorProtocolError('records without a position');
  const position = safe(content.readBigUInt64LE(0));
  const events: LogEvent[] = [];
  for (let at = positionBytes; at < content.length;) {
    const length = content.length - at < recordHeaderBytes ? -1 : content.readUInt32LE(at);
    const end = at + recordHeaderBytes + length + recordTrailerBytes;
    if (length < 0 || length > recordMostBytes || end > content.length) {
      throw new SupervisorProtocolError('a record that is cut off');
    }
    if (content.readUInt32LE(end - recordTrailerBytes) !== end - at) {
      throw new SupervisorProtocolError('a record whose lengths differ');
    }
    events.push(parseRecord(content, at, length, position + end - positionBytes));
    at = end;
  }
  return { position, events };
}

function parseRecord(content: Buffer, at: number, length: number, position: number): LogEvent {
  const kind = content.readUInt8(at + 4);
  const ends = (content.readUInt8(at + 5) & recordEndFlag) !== 0;
  const timeNs = content.readBigInt64LE(at + 8);
  if (timeNs < 0n) throw new SupervisorProtocolError('a record before all time');
  const data = content.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length);
  switch (kind) {
    case recordKinds.stdout:
      return { kind: 'output', stream: 'stdout', data, ends, timeNs, position };
    case recordKinds.stderr:
      return { kind: 'output', stream: 'stderr', data, ends, timeNs, position };
    case recordKinds.state:
      return parseStateRecord(data, timeNs, position);
    default:
      throw new SupervisorProtocolError(`a record of kind ${kind}`);
  }
}

function parseStateRecord(data: Buffer, timeNs: bigint, position: number): LogEvent {
  const fields = parseObject(data);
  const run = integerField(fields, 'run');
  const event = textField(fields, 'event');
  if (event === 'started')
    return { kind: 'started', run, pid: integerField(fields, 'pid'), timeNs, position };
  if (event !== 'exited') throw new SupervisorProtocolError('a record of no known change');
  return {
    kind: 'exited',
    run,
    code: integerField(fields, 'code'),
    signal: integerField(fields, 'signal'),
    oom: booleanField(fields, 'oom'),
    timeNs,
    position,
  };
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new SupervisorProtocolError('a position past all logs');
  return Number(value);
}
