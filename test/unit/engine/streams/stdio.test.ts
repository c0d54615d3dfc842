// Who learns of an exit finds the output in the log, whatever that takes.

import type { ContainerLogWriter } from '../../../../src/engine/core/container-log';
import { ProcessStdio } from '../../../../src/engine/streams/stdio';
import { StreamHub } from '../../../../src/semantics/streams/stream-hub';
import { FakeAgent } from '../../../support/fakes/engine-fakes';

/** Writes when it is told to. */
class SlowLog implements ContainerLogWriter {
  readonly run = 'run';
  readonly written: string[] = [];
  #waiting: (() => void)[] = [];

  durableOffset(): number {
    return 0;
  }

  append(_stream: string, data: Buffer, offset: number): Promise<number> {
    return this.#later(() => {
      this.written.push(data.toString());
      return offset + data.length;
    });
  }

  end(): Promise<number> {
    return this.#later(() => {
      this.written.push('end');
      return 100;
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async write(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) {
      for (const go of this.#waiting.splice(0)) go();
      await Promise.resolve();
    }
  }

  #later(work: () => number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push(() => resolve(work())));
  }
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function begin(): { agent: FakeAgent; log: SlowLog; hub: StreamHub; stdio: ProcessStdio } {
  const [agent, log, hub] = [new FakeAgent(), new SlowLog(), new StreamHub()];
  return { agent, log, hub, stdio: new ProcessStdio(agent, { stdout: 1 }, hub, log) };
}

it('waits for a log that is slow, and for no longer', async () => {
  const { agent, log, stdio } = begin();
  agent.outputs.get(1)?.write('line\n');
  agent.outputs.get(1)?.end();
  const finished = jest.fn();
  void stdio.finish().then(finished);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(finished).not.toHaveBeenCalled();
  await log.write();
  expect(log.written).toEqual(['line\n', 'end']);
  await jest.advanceTimersByTimeAsync(0);
  expect(finished).toHaveBeenCalled();
  expect(agent.outputs.get(1)).toMatchObject({ acked: 100, wasReset: false });
});

it('waits for no client that does not read', async () => {
  const { agent, log, hub, stdio } = begin();
  hub.subscribe({ stdout: true, stderr: false });
  agent.outputs.get(1)?.write('x'.repeat(2 * 1024 * 1024));
  agent.outputs.get(1)?.end();
  const finished = jest.fn();
  void stdio.finish().then(finished);
  await log.write();
  await jest.advanceTimersByTimeAsync(0);
  expect(finished).toHaveBeenCalled();
});

it('gives a guest up that does not end its streams, and keeps what has come', async () => {
  const { agent, log, stdio } = begin();
  agent.outputs.get(1)?.write('line\n');
  const finished = jest.fn();
  void stdio.finish().then(finished);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(finished).not.toHaveBeenCalled();
  await log.write();
  await jest.advanceTimersByTimeAsync(0);
  expect(finished).toHaveBeenCalled();
  expect(log.written[0]).toBe('line\n');
  expect(agent.outputs.get(1)?.wasReset).toBe(true);
});
