import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket, Packet, RecordType } from 'dns-packet';
import fc from 'fast-check';

import { errorReply, judgeQuery, responseCodes } from '../../../src/network/netd/dns-answers';
import type { Verdict } from '../../../src/network/netd/dns-answers';
import { DnsStreamReader, frameDnsMessage } from '../../../src/network/netd/dns-stream';
import { NameTable } from '../../../src/network/netd/name-table';
import type { NetdEndpoint } from '../../../src/network/addresses/netd-protocol';

function endpoint(
  networkId: string,
  containerId: string,
  ipv4Address: string,
  more: Partial<NetdEndpoint> = {},
): NetdEndpoint {
  return {
    networkId,
    containerId,
    ipv4Address,
    ipv6Address: '',
    containerName: containerId,
    names: [containerId],
    links: {},
    upstreams: [],
    ...more,
  };
}

let names: NameTable;

beforeEach(() => {
  names = new NameTable();
  names.putNetwork({ id: 'app', name: 'App', gateways: ['10.1.0.1'], egress: true, embedded: true });
  names.putNetwork({ id: 'vault', name: 'vault', gateways: ['10.2.0.1'], egress: false, embedded: true });
  names.putNetwork({ id: 'bridge', name: 'bridge', gateways: ['172.17.0.1'], egress: true, embedded: false });
  names.putEndpoint(endpoint('app', 'web', '10.1.0.2', { names: ['web', 'www'], ipv6Address: 'fd00::2' }));
  names.putEndpoint(
    endpoint('app', 'db', '10.1.0.3', {
      names: ['db', 'www'],
      links: { front: 'web' },
      upstreams: ['9.9.9.9'],
    }),
  );
  names.putEndpoint(endpoint('vault', 'db', '10.2.0.3', { names: ['db'] }));
  names.putEndpoint(endpoint('vault', 'safe', '10.2.0.4'));
  names.putEndpoint(endpoint('bridge', 'plain', '172.17.0.2'));
});

function query(name: string, type: RecordType = 'A', more: Packet = {}): Buffer {
  return encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type, name }], ...more });
}

function judge(name: string, type: RecordType = 'A', network = 'app', from = '10.1.0.2'): Verdict {
  return judgeQuery(query(name, type), names, network, from, true);
}

function answered(verdict: Verdict): DecodedPacket {
  if (verdict.kind !== 'answer') throw new Error(`not answered: ${verdict.kind}`);
  return decode(verdict.packet);
}

/** dns-packet decodes it; its types do not know. */
function rcode(verdict: Verdict): string {
  return (answered(verdict) as DecodedPacket & { rcode: string }).rcode;
}

function data(verdict: Verdict): unknown[] {
  return (answered(verdict).answers ?? [])
    .map((answer) => ('data' in answer ? answer.data : undefined))
    .sort();
}

describe('answers', () => {
  it('carry id, question and recursion, as the query had them', () => {
    const reply = answered(judge('WeB'));
    expect(reply).toMatchObject({
      id: 77,
      type: 'response',
      flag_rd: true,
      flag_ra: true,
      questions: [{ name: 'WeB', type: 'A' }],
    });
    expect(reply.answers).toMatchObject([{ name: 'WeB', type: 'A', ttl: 600, data: '10.1.0.2' }]);
  });

  it('come from every network of the asker, and no other', () => {
    expect(data(judge('www'))).toEqual(['10.1.0.2', '10.1.0.3']);
    expect(data(judge('safe', 'A', 'app', '10.1.0.3'))).toEqual(['10.2.0.4']);
    expect(judge('safe').kind).toBe('forward');
    expect(data(judge('db', 'A', 'vault', '10.2.0.4'))).toEqual(['10.2.0.3']);
    expect(data(judge('front', 'A', 'app', '10.1.0.3'))).toEqual(['10.1.0.2']);
  });

  it('know the network as a suffix', () => {
    expect(data(judge('web.app'))).toEqual(['10.1.0.2']);
    expect(judge('web.vault').kind).toBe('forward');
  });

  it('have the other family, or nothing', () => {
    expect(data(judge('web', 'AAAA'))).toEqual(['fd00::2']);
    expect(data(judge('db', 'AAAA'))).toEqual([]);
    expect(data(judge('db', 'TXT'))).toEqual([]);
  });

  it('name addresses', () => {
    expect(data(judge('3.0.1.10.in-addr.arpa', 'PTR'))).toEqual(['db.App']);
    expect(judge('9.0.1.10.in-addr.arpa', 'PTR').kind).toBe('forward');
  });

  it('are cut to what UDP takes, and not over TCP', () => {
    for (let host = 10; host < 100; host++)
      names.putEndpoint(endpoint('app', `c${host}`, `10.1.1.${host}`, { names: ['many'] }));
    const cut = answered(judge('many'));
    expect([cut.flag_tc, cut.answers]).toEqual([true, []]);
    expect(data(judgeQuery(query('many'), names, 'app', '10.1.0.2', false))).toHaveLength(90);
    const option = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 4096,
      flags: 0,
      extendedRcode: 0,
      ednsVersion: 0,
      flag_do: false,
      options: [],
    } as const;
    expect(
      data(
        judgeQuery(
          query('many', 'A', { additionals: [option as unknown as Answer] }),
          names,
          'app',
          '10.1.0.2',
          true,
        ),
      ),
    ).toHaveLength(90);
  });

  it('change with the endpoints', () => {
    names.removeEndpoint('app', 'db');
    expect(data(judge('www'))).toEqual(['10.1.0.2']);
    names.putEndpoint(endpoint('app', 'web', '10.1.0.9', { names: ['renamed'] }));
    expect(judge('web', 'A', 'app', '10.1.0.9').kind).toBe('forward');
    names.removeNetwork('app');
    expect(rcode(judge('web', 'A', 'app', '10.1.0.9'))).toBe('REFUSED');
  });
});

describe('other questions', () => {
  it('are forwarded for who may, to its servers', () => {
    expect(judge('example.org')).toEqual({ kind: 'forward', containerId: 'web', upstreams: [] });
    expect(judge('example.org', 'A', 'vault', '10.2.0.3')).toEqual({
      kind: 'forward',
      containerId: 'db',
      upstreams: ['9.9.9.9'],
    });
    expect(judge('plain', 'A', 'bridge', '172.17.0.2').kind).toBe('forward');
  });

  it('are refused to others', () => {
    expect(rcode(judge('example.org', 'A', 'vault', '10.2.0.4'))).toBe('SERVFAIL');
    expect(rcode(judge('web', 'A', 'app', '10.1.0.77'))).toBe('REFUSED');
  });

  it('that are none are refused or ignored', () => {
    const two = query('a', 'A', {
      questions: [
        { type: 'A', name: 'a' },
        { type: 'A', name: 'b' },
      ],
    });
    expect(rcode(judgeQuery(two, names, 'app', '10.1.0.2', true))).toBe('FORMERR');
    const update = query('a');
    update[2] = 5 << 3;
    expect(rcode(judgeQuery(update, names, 'app', '10.1.0.2', true))).toBe('NOTIMP');
    const response = encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'web' }] });
    expect(judgeQuery(response, names, 'app', '10.1.0.2', true)).toEqual({ kind: 'ignore' });
    expect(judgeQuery(Buffer.alloc(11), names, 'app', '10.1.0.2', true)).toEqual({ kind: 'ignore' });
  });

  it('never throw, whatever the bytes', () => {
    const mutated = fc.tuple(fc.nat(40), fc.nat(255)).map(([at, byte]) => {
      const packet = query('web.example.org');
      packet[at % packet.length] = byte;
      return packet;
    });
    const bytes = fc.uint8Array({ maxLength: 600 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(fc.oneof(bytes, mutated), fc.boolean(), (packet, udp) => {
        const verdict = judgeQuery(packet, names, 'app', '10.1.0.2', udp);
        if (verdict.kind === 'answer') expect(verdict.packet.readUInt16BE(0)).toBe(packet.readUInt16BE(0));
      }),
      { numRuns: 2000 },
    );
  });

  it('that fail have a reply without sections', () => {
    const reply = decode(errorReply(query('x'), responseCodes.serverFailure));
    expect(reply).toMatchObject({ id: 77, rcode: 'SERVFAIL', flag_rd: true, questions: [], answers: [] });
  });
});

it('messages on TCP are found however they are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 50 })),
      (messages, sizes) => {
        const wanted = messages.map((message) => Buffer.from(message));
        const bytes = Buffer.concat(wanted.map(frameDnsMessage));
        const got: Buffer[] = [];
        const reader = new DnsStreamReader((message) => got.push(Buffer.from(message)));
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value as number;
          reader.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(got).toEqual(wanted);
      },
    ),
  );
});
