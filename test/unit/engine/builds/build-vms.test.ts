import { BuildVms } from '../../../../src/engine/builds/build-vms';
import type { Vm } from '../../../../src/vm/contract/vm';

const resources = { memoryBytes: 1000, cpus: 1 };
const fakes = new Map<string, { vm: Vm; ended: boolean }>();
function vmOf(id: string): Vm {
  const fake = {
    ended: false,
    vm: {
      ...{ id, resources, state: { kind: 'Idle' } },
      end: () => {
        fake.ended = true;
        fakes.delete(id);
        return Promise.resolve();
      },
    } as Vm, // what is asked of it here
  };
  fakes.set(id, fake);
  return fake.vm;
}
const find = (id: string): Vm | undefined => fakes.get(id)?.vm;

test('a VM goes on in its own build alone, the wished one first, once its last step is out', async () => {
  const vms = new BuildVms({ find });
  vms.entered('one', vmOf('a'));
  vms.entered('one', vmOf('b'));
  expect(await vms.claim('one', 'a', {})).toBeUndefined();
  let leave = (): void => undefined;
  vms.leaving('one', 'a', new Promise((resolve) => (leave = resolve)));
  vms.leaving('one', 'b', Promise.resolve());
  expect(await vms.claim('other', 'a', {})).toBeUndefined();
  expect(await vms.claim('one', '', { memoryBytes: 2000 })).toBeUndefined();
  const wished = vms.claim('one', 'a', {});
  expect(await vms.claim('one', 'a', {})).toBe('b');
  leave();
  expect(await wished).toBe('a');
});

test('one that is gone is none; a build’s end waits for its steps and ends all of its VMs', async () => {
  const vms = new BuildVms({ find });
  vms.entered('one', vmOf('c'));
  vms.leaving('one', 'c', Promise.resolve());
  fakes.delete('c');
  expect(await vms.claim('one', 'c', {})).toBeUndefined();
  vms.entered('one', vmOf('d'));
  const d = fakes.get('d');
  let leave = (): void => undefined;
  vms.leaving('one', 'd', new Promise((resolve) => (leave = resolve)));
  const ended = vms.end('one');
  await Promise.resolve();
  expect(d?.ended).toBe(false);
  leave();
  await ended;
  expect(d?.ended).toBe(true);
  expect(await vms.claim('one', 'd', {})).toBeUndefined();
});
