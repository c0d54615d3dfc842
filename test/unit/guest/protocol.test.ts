// The protocol is written down three times, for the daemon, for the agent and for people: the numbers must be equal.

import fs from 'node:fs';
import path from 'node:path';
import * as protocol from '../../../src/vm/contract/protocol';

const root = path.resolve(__dirname, '../../..');
const header = fs.readFileSync(path.join(root, 'guest/init/protocol.h'), 'utf8');
const prose = fs.readFileSync(path.join(root, 'docs/agent-protocol.md'), 'utf8');
const operationsSource = fs.readFileSync(path.join(root, 'guest/init/operations.c'), 'utf8');
const protocolSource = fs.readFileSync(path.join(root, 'src/vm/contract/protocol.ts'), 'utf8');

function defined(name: string): number {
  const value = new RegExp(`^#define ${name} (\\w+)$`, 'm').exec(header)?.[1];
  if (value === undefined) throw new Error(`protocol.h does not define ${name} as a number`);
  return Number(value.replace(/u$/, ''));
}

function definedText(name: string): string {
  const value = new RegExp(`^#define ${name} (".*")$`, 'm').exec(header)?.[1];
  if (value === undefined) throw new Error(`protocol.h does not define ${name} as a text`);
  return JSON.parse(value) as string;
}

/** `SYNC_NONCE_BYTES` of `syncNonceBytes`. */
const upperCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

describe('protocol.h says the same as protocol.ts', () => {
  test.each([
    'protocolVersion',
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
