import { log } from '../../../../src/log';
import { HostDiskFull } from '../../../../src/vm/qemu/host-disk-full';

const noRoom = {
  event: 'BLOCK_IO_ERROR',
  data: { action: 'stop', device: '', reason: 'No space left on device' },
};

/** A VM in this state, which `cont` leads to the next one of a list. */
function fakeQmp(states: string[]) {
  const commands: string[] = [];
  let settle: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (settle = resolve));
  const execute = (command: string): Promise<unknown> => {
    commands.push(command);
    if (command === 'cont') {
      states.shift();
      return Promise.resolve({});
    }
    if (states[0] !== 'io-error') settle();
    return Promise.resolve({ status: states[0] });
  };
  return { commands, done, qmp: { execute } };
}

const conts = (commands: string[]): number => commands.filter((command) => command === 'cont').length;

test('is tried again until there is room', async () => {
  const { commands, done, qmp } = fakeQmp(['io-error', 'io-error', 'running']);
  const full = new HostDiskFull('vm', qmp, { retryMs: 1 });
  full.onEvent(noRoom);
  full.onEvent(noRoom);
  await done;
  expect(conts(commands)).toBe(2);
  full.close();
});

test('what a user has paused stays paused', async () => {
  const { commands, done, qmp } = fakeQmp(['paused']);
  const full = new HostDiskFull('vm', qmp, { retryMs: 1 });
  full.onEvent(noRoom);
  await done;
  expect(conts(commands)).toBe(0);
  full.close();
});

test('a VM that an earlier daemon left so goes on', async () => {
  const { commands, done, qmp } = fakeQmp(['io-error', 'running']);
  const full = new HostDiskFull('vm', qmp, { retryMs: 1 });
  await full.check();
  await done;
  expect(conts(commands)).toBe(1);
  full.close();
});

test('other errors are logged, once for each disk, and the guest sees to them', () => {
  const { commands, qmp } = fakeQmp(['running']);
  const full = new HostDiskFull('vm', qmp, { retryMs: 1 });
  const logged = jest.spyOn(log, 'error').mockImplementation(() => undefined);
  for (const node of ['format0', 'format0', 'format1']) {
    const data = { action: 'report', 'node-name': node, operation: 'read', reason: 'Input/output error' };
    full.onEvent({ event: 'BLOCK_IO_ERROR', data });
  }
  expect(logged.mock.calls.map(([, details]) => details?.['device'])).toEqual(['format0', 'format1']);
  expect(logged.mock.calls[0]?.[1]).toMatchObject({
    vmId: 'vm',
    reason: 'Input/output error',
    operation: 'read',
  });
  logged.mockRestore();
  expect(commands).toEqual([]);
  full.close();
});
