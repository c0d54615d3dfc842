// JSON that comes from a guest, made into values that the rest of the daemon may rely on. Each member is checked and
// copied into an object of ours: a forged message has the wrong content at worst, never a wrong shape.

import { isIP } from 'node:net';

import { ProtocolError } from './frame';
import type {
  AgentChannelState,
  AgentEvent,
  AgentFailure,
  AgentHello,
  AgentOperation,
  AgentOperations,
  ContainerStats,
  ExitStatus,
  GuestListener,
} from '../contract/protocol';

type Json = Record<string, unknown>;

/** A guest that has more of anything than this in its hello is not ours. */
const maxListed = 65_536;
const maxIdLength = 128;
const maxMessageLength = 4096;
/** As the agent has it. */
const maxListeners = 256;
const phases: readonly AgentFailure['phase'][] = [
  'request',
  'disk',
  'mount',
  'network',
  'namespace',
  'user',
  'cgroup',
  'security',
  'exec',
  'io',
];

/** Throws ProtocolError unless `payload` is a JSON object. */
export function parseObject(payload: Buffer): Json {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch {
    throw new ProtocolError('not JSON');
  }
  return object(value, 'a message');
}

export function parseHello(message: Json): AgentHello {
  const processes = (name: string): Json[] => list(message[name], name).map((item) => object(item, name));
  return {
    version: count(message['version'], 'version'),
    build: text(message['build'], 'build', maxIdLength),
    identified: message['identified'] === true,
    pod: message['pod'] === true,
    containers: processes('containers').map((item) => ({
      id: text(item['id'], 'id', maxIdLength),
      pid: offset(item['pid'], 'pid'),
      state: processState(item['state']),
    })),
    execs: processes('execs').map((item) => ({
      id: text(item['id'], 'id', maxIdLength),
      containerId: text(item['containerId'], 'containerId', maxIdLength),
      pid: offset(item['pid'], 'pid'),
      state: processState(item['state']),
    })),
    channels: processes('channels').map(parseChannel),
  };
}

export function parseSeq(message: Json): number {
  return offset(message['seq'], 'seq');
}

/** Undefined for a kind of event that this daemon does not know. */
export function parseEvent(message: Json): AgentEvent | undefined {
  const seq = parseSeq(message);
  switch (message['event']) {
    case 'exit':
      return {
        seq,
        event: 'exit',
        kind: message['kind'] === 'exec' ? 'exec' : 'container',
        id: text(message['id'], 'id', maxIdLength),
        status: parseExitStatus(object(message['status'], 'status')),
      };
    case 'oom':
      return { seq, event: 'oom', containerId: text(message['containerId'], 'containerId', maxIdLength) };
    default:
      return undefined;
  }
}

export function parseFailure(value: unknown): AgentFailure {
  const failure = object(value, 'an error');
  const phase = phases.find((known) => known === failure['phase']);
  return {
    code: /^E[A-Z0-9]{1,30}$/.test(String(failure['code'])) ? String(failure['code']) : 'EIO',
    phase: phase ?? 'request',
    message: text(failure['message'] ?? 'no reason given', 'message', maxMessageLength),
  };
}

/** The result of an operation. Throws ProtocolError when it is none. */
export function parseResult<Op extends AgentOperation>(
  op: Op,
  value: unknown,
): AgentOperations[Op]['result'] {
  const result = object(value ?? {}, 'a result');
  // The switch narrows `op`, but not the type that depends on it.
  const shaped = (shape: AgentOperations[AgentOperation]['result']): AgentOperations[Op]['result'] => shape;
  switch (op) {
    case 'container.start':
    case 'exec.start':
      return shaped({ pid: offset(result['pid'], 'pid') });
    case 'container.growDisk':
      return shaped({ sizeBytes: count(result['sizeBytes'], 'sizeBytes') });
    case 'container.top':
      return shaped({
        output: text(result['output'], 'output', Infinity),
        pids: list(result['pids'], 'pids').map((pid) => count(pid, 'pids')),
      });
    case 'pod.listeners':
      return shaped({
        generation: offset(result['generation'], 'generation'),
        listeners: list(result['listeners'], 'listeners')
          .slice(0, maxListeners)
          .map((item) => parseListener(object(item, 'listeners'))),
        left: count(result['left'], 'left'),
      });
    case 'clock':
      return shaped({ timeUsec: count(result['timeUsec'], 'timeUsec') });
    case 'container.stats':
      return shaped(parseStats(result));
    default:
      return shaped({});
  }
}

function parseListener(item: Json): GuestListener {
  const address = text(item['address'], 'address', maxIdLength);
  if (isIP(address) === 0) throw new ProtocolError(`address: ${address}`);
  return {
    protocol: item['protocol'] === 'udp' ? 'udp' : 'tcp',
    address,
    port: port(item['port'], 'port'),
    relay: port(item['relay'], 'relay'),
  };
}

function port(value: unknown, name: string): number {
  const number = count(value, name);
  if (number > 65_535) throw new ProtocolError(`${name}: ${number}`);
  return number;
}

function parseStats(result: Json): ContainerStats {
  const cpu = object(result['cpu'], 'cpu');
  const memory = object(result['memory'], 'memory');
  const pids = object(result['pids'], 'pids');
  const disk = object(result['disk'], 'disk');
  const counters = <Name extends string>(from: Json, ...names: Name[]): Record<Name, number> =>
    // Object.fromEntries forgets the names.
    Object.fromEntries(names.map((name) => [name, count(from[name], name)])) as Record<Name, number>;
  return {
    timeMs: count(result['timeMs'], 'timeMs'),
    cpu: counters(cpu, 'usageUsec', 'userUsec', 'systemUsec', 'throttledUsec', 'periods', 'throttled'),
    vmUsec: count(result['vmUsec'], 'vmUsec'),
    onlineCpus: count(result['onlineCpus'], 'onlineCpus'),
    memory: {
      ...counters(memory, 'usageBytes', 'maxUsageBytes', 'limitBytes'),
      stat: numbers(memory['stat'], 'stat'),
    },
    pids: counters(pids, 'current', 'limit'),
    io: list(result['io'], 'io').map((item) =>
      counters(object(item, 'io'), 'major', 'minor', 'readBytes', 'writeBytes', 'reads', 'writes'),
    ),
    networks: Object.fromEntries(
      Object.entries(object(result['networks'], 'networks')).map(([name, value]) => {
        const [received, sent] = [
          ['rxBytes', 'rxPackets', 'rxErrors', 'rxDropped'],
          ['txBytes', 'txPackets', 'txErrors', 'txDropped'],
        ] as const;
        const from = object(value, 'networks');
        return [name, { ...counters(from, ...received), ...counters(from, ...sent) }];
      }),
    ),
    disk: counters(disk, 'freeBytes', 'totalBytes'),
  };
}

function parseChannel(item: Json): AgentChannelState {
  const channel = offset(item['channel'], 'channel');
  if (channel === 0 || channel > 0xffff_ffff) throw new ProtocolError('a channel out of range');
  return {
    channel,
    outAcked: offset(item['outAcked'], 'outAcked'),
    outEnd: offset(item['outEnd'], 'outEnd'),
    inReceived: offset(item['inReceived'], 'inReceived'),
  };
}

function parseExitStatus(status: Json): ExitStatus {
  return {
    exitCode: count(status['exitCode'], 'exitCode'),
    signal: count(status['signal'], 'signal'),
    oomKilled: status['oomKilled'] === true,
    timeMs: count(status['timeMs'], 'timeMs'),
  };
}

function processState(value: unknown): 'running' | 'exited' {
  return value === 'exited' ? 'exited' : 'running';
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError(`${what} is not an object`);
  }
  return value as Json; // checked just above
}

function list(value: unknown, what: string): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > maxListed) throw new ProtocolError(`${what} is not a list`);
  return value;
}

/** Counters, sizes, ids of processes: whole numbers, not negative. */
function count(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new ProtocolError(`${what} is not a number`);
  }
  // The guest's largest counters (memory.max without a limit) go beyond what a double holds exactly.
  return Math.floor(value);
}

/** What is counted on or sent back: exact. */
function offset(value: unknown, what: string): number {
  if (!Number.isSafeInteger(count(value, what))) throw new ProtocolError(`${what} is out of range`);
  return count(value, what);
}

function numbers(value: unknown, what: string): Record<string, number> {
  const entries = Object.entries(object(value, what)).filter(([name]) => name !== '__proto__');
  return Object.fromEntries(entries.map(([name, number]) => [name, count(number, what)]));
}

function text(value: unknown, what: string, maxLength: number): string {
  if (typeof value !== 'string') throw new ProtocolError(`${what} is not a text`);
  return value.slice(0, maxLength);
}
