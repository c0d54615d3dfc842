import type { Health } from '../../../../src/docker/types';
import { HealthRecords } from '../../../../src/engine/core/health-records';
import { FakeDocuments } from '../../../support/fakes/engine-fakes';

const healthy: Health = { Status: 'healthy', FailingStreak: 0, Log: [] };

test('what was set is there for the next daemon, what was deleted is not', () => {
  const documents = new FakeDocuments();
  const records = new HealthRecords(documents);
  records.set('a', healthy);
  records.set('b', healthy);
  records.set('b', { ...healthy, Status: 'unhealthy' });
  records.set('c', healthy);
  records.delete('c');

  const next = new HealthRecords(documents);
  expect(['a', 'b', 'c'].map((id) => next.get(id)?.Status)).toEqual(['healthy', 'unhealthy', undefined]);
});

test('containers that are gone are forgotten, on disk too', () => {
  const documents = new FakeDocuments();
  const records = new HealthRecords(documents);
  records.set('a', healthy);
  records.set('gone', healthy);
  records.keepOnly((id) => id === 'a');
  expect([records.get('a'), records.get('gone')]).toEqual([healthy, undefined]);
  expect(documents.all('health')).toEqual([{ containerId: 'a', health: healthy }]);
});
