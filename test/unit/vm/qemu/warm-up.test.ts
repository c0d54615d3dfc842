import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QemuVm } from '../../../../src/vm/qemu/qemu-vm';
import { warmUp } from '../../../../src/vm/qemu/warm-up';
import { FakeOutput } from '../../../support/fakes/engine-fakes';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'warm-up-'));
  writeFileSync(join(dir, 'disk'), '');
});
afterEach(() => rm(dir, { recursive: true }));

// Jest fails a test in which a rejection has no handler.
it('tells why the container did not start, and no more of its streams', async () => {
  const outputs: FakeOutput[] = [];
  const agent = {
    onEvent: () => () => undefined,
    allocateChannel: () => outputs.length,
    openOutput: (channel: number) => {
      const output = new FakeOutput(channel, 0);
      outputs.push(output);
      return output;
    },
    request: (operation: string) => {
      if (operation !== 'container.start') return Promise.resolve({});
      for (const output of outputs) output.lose();
      return Promise.reject(new Error('no answer'));
    },
  };
  const vm = { agent, plugDisks: () => Promise.resolve([0, 1]) } as unknown as QemuVm;
  const disks = { layerPath: join(dir, 'disk'), writablePath: join(dir, 'disk') };
  await expect(warmUp(vm, disks, join(dir, 'copy'))).rejects.toThrow('no answer');
  expect(outputs).toHaveLength(2);
  await new Promise((resolve) => setImmediate(resolve));
});
