// Each protocol is written down three times, for either end and for people: the numbers must be equal.

import fs from 'node:fs';
import path from 'node:path';
import * as protocol from '../../../src/vm/contract/protocol';
import * as shareProtocol from '../../support/guests/share-protocol';

const root = path.resolve(__dirname, '../../..');
const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');
const header = read('protocol/agent.h');
const shareHeader = read('protocol/share-changes-protocol.h');
const noticeHeader = read('protocol/share-notices-protocol.h');
const prose = read('docs/agent-protocol.md');
const shareProse = read('protocol/README.md');
const operationsSource = read('guest/init/operations.c');
const protocolSource = read('src/vm/contract/protocol.ts');

function defined(name: string, text = header): number {
  const value =
    new RegExp(`^#define ${name} (\\w+)$`, 'm').exec(text)?.[1] ??
    new RegExp(`^ {4}${name} = (\\w+),$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the header does not define ${name} as a number`);
  return Number(value.replace(/u$/, ''));
}

function definedText(name: string, text = header): string {
  const value = new RegExp(`^#define ${name} (".*")$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the header does not define ${name} as a text`);
  return JSON.parse(value) as string;
}

/** `SYNC_NONCE_BYTES` of `syncNonceBytes`. */
const upperCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

describe('agent.h says the same as protocol.ts', () => {
  test.each([
    'protocolVersion',
    'oldestProtocolVersion',
    'frameHeaderBytes',
    'frameCheckSeed',
    'frameFlagMore',
    'frameTrailer',
    'frameTrailerBytes',
    'maxPayloadBytes',
    'channelWindowBytes',
    'guestChannelBit',
    'syncNonceBytes',
    'bulkPlain',
    'bulkSlot',
    'bulkPlainBytes',
  ] as const)('%s', (name) => {
    expect(defined(upperCase(name))).toBe(protocol[name]);
  });

  test('texts', () => {
    expect(definedText('AGENT_PORT_NAME')).toBe(protocol.agentPortName);
    expect(definedText('SYNC_MAGIC')).toBe(protocol.syncMagic);
    expect(definedText('SHARES_DIRECTORY')).toBe(protocol.sharesDirectory);
    expect(definedText('TUNNELS_DIRECTORY')).toBe(protocol.tunnelsDirectory);
    expect(defined('SYNC_MAGIC_BYTES')).toBe(protocol.syncMagic.length);
  });

  test('frame types', () => {
    const types = [...header.matchAll(/^ {4}FRAME_(\w+) = (\d+),$/gm)].map(([, name, value]) => [
      name,
      Number(value),
    ]);
    expect(types).toEqual(
      Object.entries(protocol.FrameType).map(([name, value]) => [upperCase(name), value]),
    );
  });
});

describe('docs/agent-protocol.md says the same', () => {
  test('frame types', () => {
    const rows = [...prose.matchAll(/^\| (\d+) \| ([A-Z_]+) \|/gm)].map(([, value, name]) => [
      name,
      Number(value),
    ]);
    expect(rows).toEqual(Object.entries(protocol.FrameType).map(([name, value]) => [upperCase(name), value]));
  });

  test('numbers', () => {
    for (const value of [protocol.maxPayloadBytes, protocol.channelWindowBytes, protocol.syncPreambleZeros])
      expect(prose).toContain(value.toLocaleString('en-US'));
    expect(prose).toContain(`0x${protocol.frameCheckSeed.toString(16)}`);
    expect(prose).toContain(`0x${protocol.frameTrailer.toString(16)}`);
  });
});

test('the agent knows every operation', () => {
  const declared = /export interface AgentOperations \{([\s\S]*?)^\}/m.exec(protocolSource)?.[1] ?? '';
  const names = [...declared.matchAll(/^ {2}'?([\w.]+)'?: \{/gm)].map(([, name]) => name);
  const known = [...operationsSource.matchAll(/^ {4}\{ "([\w.]+)",/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(15);
  expect([...known].sort()).toEqual([...names].sort());
});

describe("what agent and file server tell each other is the same in headers, prose and the tests' guest", () => {
  const kinds = Object.entries(shareProtocol.changeKind).map(([name, value]) => [upperCase(name), value]);

  test('kinds of changes', () => {
    const body = /enum share_change_kind \{([\s\S]*?)\}/.exec(shareHeader)?.[1] ?? '';
    const names = [...body.matchAll(/^ {4}SHARE_(\w+)(?: = 1)?,/gm)].map(([, name], at) => [name, at + 1]);
    expect(names).toEqual(kinds);
    const rows = [...shareProse.matchAll(/^\| (\d+) \| ([A-Z]+) \|/gm)].map(([, value, name]) => [
      name,
      Number(value),
    ]);
    expect(rows).toEqual(kinds);
  });

  test('attributes and names', () => {
    for (const name of ['watchesAttribute', 'changeAttribute', 'elsewhere'] as const) {
      expect(definedText(`SHARE_${upperCase(name)}`, shareHeader)).toBe(shareProtocol[name]);
      expect(shareProse).toContain(`\`${shareProtocol[name]}\``);
    }
  });

  test('numbers', () => {
    for (const name of ['watchesFirst', 'watchesLast', 'watchesPart', 'nameSize'] as const)
      expect(defined(`SHARE_${upperCase(name)}`, shareHeader)).toBe(shareProtocol[name]);
    expect(shareProse).toContain(`at most ${shareProtocol.watchesPart.toLocaleString('en-US')} files`);
    expect(shareProse).toContain(`at most ${String(shareProtocol.nameSize - 1)} bytes`);
    expect(defined('SHARE_NOTICE_FORGET', noticeHeader)).toBe(shareProtocol.noticeForget);
    expect(shareProse).toContain(`| 0x${shareProtocol.noticeForget.toString(16)} | FORGET |`);
  });
});
