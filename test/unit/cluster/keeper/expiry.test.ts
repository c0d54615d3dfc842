// What has a time to live is removed when it is over, and nothing else.

import { Expiry, type Expiring } from '../../../../src/cluster/keeper/expiry';
import { requireTimeToLive } from '../../../../src/cluster/contract/time-to-live';

jest.mock('@kubernetes/client-node', () => ({}));
jest.useFakeTimers({ now: Date.parse('2030-01-01T00:00:00Z') });

const minute = 60_000;
const removed: string[] = [];

function thing(
  id: string,
  labels: Record<string, string> | null,
  remove = (): Promise<void> => Promise.resolve(),
): Expiring {
  return {
    id,
    labels,
    created: '2030-01-01T00:00:00.000000000Z',
    remove: async () => {
      await remove();
      removed.push(id);
    },
  };
}

beforeEach(() => {
  jest.setSystemTime(Date.parse('2030-01-01T00:00:00Z'));
  removed.length = 0;
});

it('goes by its own label, else by the operator’s for labels of others', async () => {
  const things = [
    thing('own', { 'caisson.ttl': '1m' }),
    thing('of a client', { 'org.testcontainers': 'true', other: '' }),
    thing('longer by itself', { 'caisson.ttl': '1h', 'org.testcontainers': 'true' }),
    thing('for ever', { web: '' }),
    thing('without labels', null),
  ];
  const expiry = new Expiry(
    { container: () => Promise.resolve(things.filter(({ id }) => !removed.includes(id))) },
    { 'org.testcontainers': 10 * minute, other: 60 * minute },
  );
  await expiry.look();
  expect(removed).toEqual([]);
  jest.advanceTimersByTime(minute);
  await expiry.look();
  expect(removed).toEqual(['own']);
  jest.advanceTimersByTime(9 * minute);
  await expiry.look();
  expect(removed).toEqual(['own', 'of a client']);
  jest.advanceTimersByTime(50 * minute);
  await expiry.look();
  expect(removed).toEqual(['own', 'of a client', 'longer by itself']);
});

it('goes on with others where one is still needed, or one kind can not be listed', async () => {
  const inUse = (): Promise<void> => Promise.reject(new Error('has active endpoints'));
  const labels = { 'caisson.ttl': '1s' };
  const expiry = new Expiry(
    {
      container: () => Promise.reject(new Error('away')),
      network: () => Promise.resolve([thing('used', labels, inUse), thing('unused', labels)]),
      volume: () => Promise.resolve([thing('data', labels)]),
    },
    {},
  );
  jest.advanceTimersByTime(minute);
  await expiry.look();
  expect(removed).toEqual(['unused', 'data']);
});

it('refuses a label that says no time', () => {
  expect(() => requireTimeToLive({ 'caisson.ttl': 'soon' })).toThrow('time: invalid duration "soon"');
  expect(() => requireTimeToLive({ 'caisson.ttl': '-1m' })).toThrow('it is no time');
  requireTimeToLive({ 'caisson.ttl': '1h30m' });
  requireTimeToLive(null);
});
