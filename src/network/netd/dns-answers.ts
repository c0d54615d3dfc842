// Answers for names of containers, and what to do with all other questions. Pure, apart from the shuffle of addresses.

import {
  CHECKING_DISABLED,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { Answer, DecodedPacket, Packet, Question } from 'dns-packet';

import type { NameTable } from './name-table';

/** As dockerd's. Containers come and go, but resolvers in containers do not cache. */
const timeToLiveSeconds = 600;
const plainUdpBytes = 512;
const headerBytes = 12;

export const responseCodes = { formatError: 1, serverFailure: 2, notImplemented: 4, refused: 5 } as const;

export type Verdict =
  | { kind: 'ignore' }
  | { kind: 'answer'; packet: Buffer }
  /** To one of `upstreams`, or to the host's if there are none. */
  | { kind: 'forward'; containerId: string; upstreams: string[] };

/**
 * What becomes of a query that came from `address` on a network. Over `udp` a reply is cut to what the client takes.
 */
export function judgeQuery(
  query: Buffer,
  names: NameTable,
  networkId: string,
  address: string,
  udp: boolean,
): Verdict {
  if (query.length < headerBytes || (query.readUInt16BE(2) & 0x8000) !== 0) return { kind: 'ignore' };
  if (((query.readUInt16BE(2) >> 11) & 15) !== 0) return refuse(query, responseCodes.notImplemented);
  const packet = decodeOrUndefined(query);
  const question = packet?.questions?.[0];
  if (packet === undefined || question === undefined || packet.questions?.length !== 1) {
    return refuse(query, responseCodes.formatError);
  }
  const asker = names.asker(networkId, address);
  if (asker === undefined) return refuse(query, responseCodes.refused);
  const answers = localAnswers(question, names, asker.containerId);
  if (answers !== undefined) {
    return {
      kind: 'answer',
      packet: encodeAnswers(packet, question, answers, udp ? replyLimit(packet) : Infinity),
    };
  }
  if (!asker.mayForward) return refuse(query, responseCodes.serverFailure);
  return { kind: 'forward', containerId: asker.containerId, upstreams: asker.upstreams };
}

/** A reply without answers to any query that has a header. */
export function errorReply(query: Buffer, code: number): Buffer {
  const reply = Buffer.from(query.subarray(0, headerBytes));
  const desired = query.readUInt16BE(2) & RECURSION_DESIRED;
  reply.writeUInt16BE(0x8000 | desired | RECURSION_AVAILABLE | code, 2);
  reply.fill(0, 4); // no sections: the question may be what is wrong with it
  return reply;
}

function refuse(query: Buffer, code: number): Verdict {
  return { kind: 'answer', packet: errorReply(query, code) };
}

function decodeOrUndefined(query: Buffer): DecodedPacket | undefined {
  try {
    return decode(query);
  } catch {
    return undefined; // whatever dns-packet throws at garbage
  }
}

function localAnswers(question: Question, names: NameTable, containerId: string): Answer[] | undefined {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  if (question.class !== undefined && question.class !== 'IN') return undefined;
  if (question.type === 'PTR') {
    const target = names.reverse(containerId, name);
    return target === undefined ? undefined : [record(question, 'PTR', target)];
  }
  const found = names.lookup(containerId, name);
  if (found === undefined) return undefined;
  // the name is ours: any other type of it has no data, and nobody outside is asked
  if (question.type === 'A') return shuffled(found.ipv4).map((data) => record(question, 'A', data));
  if (question.type === 'AAAA') return shuffled(found.ipv6).map((data) => record(question, 'AAAA', data));
  return [];
}

function record(question: Question, type: 'A' | 'AAAA' | 'PTR', data: string): Answer {
  return { type, name: question.name, class: 'IN', ttl: timeToLiveSeconds, data };
}

function shuffled(addresses: string[]): string[] {
  const result = [...addresses];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [result[last], result[other]] = [result[other] ?? '', result[last] ?? ''];
  }
  return result;
}

function replyLimit(packet: DecodedPacket): number {
  const option = packet.additionals?.find((additional) => additional.type === 'OPT');
  return Math.max(plainUdpBytes, option?.type === 'OPT' ? option.udpPayloadSize : 0);
}

function encodeAnswers(
  packet: DecodedPacket,
  question: Question,
  answers: Answer[],
  maxBytes: number,
): Buffer {
  const flags = RECURSION_AVAILABLE | ((packet.flags ?? 0) & (RECURSION_DESIRED | CHECKING_DISABLED));
  const reply: Packet = { type: 'response', id: packet.id ?? 0, flags, questions: [question], answers };
  const whole = encode(reply);
  if (whole.length <= maxBytes) return whole;
  return encode({ ...reply, flags: flags | TRUNCATED_RESPONSE, answers: [] });
}
