import { nextVmState, type VmEvent, type VmState } from '../../../../src/vm/contract/vm-state';

const idle: VmState = { kind: 'Idle' };
const associated: VmState = { kind: 'Associated', podId: 'a' };
const associate: VmEvent = { kind: 'associate', podId: 'b' };
const release: VmEvent = { kind: 'release' };

test.each<[VmState, VmEvent, VmState | undefined]>([
  [idle, associate, { kind: 'Associated', podId: 'b' }],
  [idle, release, undefined],
  [associated, associate, undefined],
  [associated, release, idle],
])('%j on %j is %j', (state, event, next) => {
  expect(nextVmState(state, event)).toEqual(next);
});
