import { PodRecords } from '../../../../src/engine/core/pod-record';
import { FakeDocuments } from '../../../support/fakes/engine-fakes';

it('makes legal steps durable, and refuses others', () => {
  const documents = new FakeDocuments();
  const records = new PodRecords(documents);
  records.add({
    id: 'p',
    name: 'web',
    createdAt: '',
    template: { name: 'web', containers: [] },
    containers: [],
    phase: 'Making',
  });
  expect(() => records.step('p', 'rest')).toThrow(
    expect.objectContaining({ code: 'Conflict', message: 'Pod p is Making: rest is not possible' }) as Error,
  );
  expect(records.tryStep('p', 'started')).toBeUndefined();
  expect(records.tryStep('nosuch', 'run')).toBeUndefined();
  expect(() => records.step('nosuch', 'run')).toThrow('Pod nosuch is gone: run is not possible');
  expect(records.step('p', 'made')).toBe('Created');
  expect(new PodRecords(documents).get('p')?.phase).toBe('Created');
});
