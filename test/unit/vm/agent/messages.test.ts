import { parseResult } from '../../../../src/vm/agent/messages';

describe('what listens in a Pod', () => {
  const listener = { protocol: 'tcp', address: '0.0.0.0', port: 80, relay: 0 };
  const parsed = (...listeners: unknown[]): unknown =>
    parseResult('pod.listeners', { generation: 1, listeners, left: 0 });

  test('is copied member by member', () => {
    const forged = { ...listener, protocol: 'sctp', extra: {} };
    expect(parsed(listener, forged, { ...listener, protocol: 'udp', address: '::1' })).toEqual({
      generation: 1,
      left: 0,
      listeners: [listener, listener, { ...listener, protocol: 'udp', address: '::1' }],
    });
  });

  test('is no more than a guest of ours tells', () => {
    const { listeners } = parseResult('pod.listeners', {
      generation: 1,
      listeners: Array.from({ length: 70_000 }, () => listener).slice(0, 60_000),
      left: 0,
    });
    expect(listeners).toHaveLength(256);
  });

  test.each([
    ['an address that is none', { address: '0.0.0.0 tcp 1' }],
    ['a name', { address: 'localhost' }],
    ['a port beyond the last', { port: 65_536 }],
    ['a port below zero', { relay: -1 }],
    ['no port', { port: '80' }],
  ])('is refused with %s', (_, change) => {
    expect(() => parsed({ ...listener, ...change })).toThrow(/address|port|relay/);
  });
});
