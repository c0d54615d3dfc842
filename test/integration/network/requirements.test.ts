import { checkNetworkRequirements } from '../../../src/network/requirements';

it('finds what the other tests of this folder need', async () => {
  const results = await checkNetworkRequirements();
  expect(results.filter(({ level }) => level === 'fail')).toEqual([]);
  expect(results.map(({ subject }) => subject)).toEqual([
    'network namespace',
    'bridges',
    'taps',
    'nftables',
    'egress',
  ]);
});
