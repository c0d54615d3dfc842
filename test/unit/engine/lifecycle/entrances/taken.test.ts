import { Taken } from '../../../../../src/engine/lifecycle/entrances/taken';

it('gives back what is in the VM first, each in the opposite order, whatever fails', async () => {
  const taken = new Taken('c'.repeat(64));
  const given: string[] = [];
  const push = (where: 'inVm' | 'onHost', what: string): void =>
    taken[where].push(what, async () => {
      await Promise.resolve();
      given.push(what);
      if (what.startsWith('bad')) throw new Error(what);
    });
  push('onHost', 'log');
  push('inVm', 'disk');
  push('onHost', 'bad endpoint');
  push('inVm', 'bad VM');
  push('onHost', 'ports');
  await taken.giveBack();
  expect(given).toEqual(['bad VM', 'disk', 'ports', 'bad endpoint', 'log']);
  await taken.giveBack();
  expect(given).toHaveLength(5);
});
