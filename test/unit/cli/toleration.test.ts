import { parseToleration } from '../../../src/cli/toleration';

it.each([
  ['pool=vm:NoSchedule', { key: 'pool', operator: 'Equal', value: 'vm', effect: 'NoSchedule' }],
  ['pool:NoExecute', { key: 'pool', operator: 'Exists', effect: 'NoExecute' }],
  ['example.com/pool=', { key: 'example.com/pool', operator: 'Equal', value: '' }],
  ['pool', { key: 'pool', operator: 'Exists' }],
])('%s', (text, toleration) => {
  expect(parseToleration(text)).toEqual(toleration);
});

it.each(['', '=vm', 'pool=vm:Never', 'pool:', ':NoSchedule'])('refuses %j', (text) => {
  expect(() => parseToleration(text)).toThrow('is no taint');
});
