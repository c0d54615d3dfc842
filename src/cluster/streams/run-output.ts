// Output of a supervisor's session for who is attached, by way of the hub that Docker's sessions are made of.

import type { StreamHub } from '../../semantics/streams/stream-hub';
import type { ProcessInput as HubInput } from '../../semantics/streams/stream-hub';
import type { ProcessInput, RunningProcess } from '../supervisor/supervisor';

/** As the hub wants it: an end that is lost is nobody's error. */
export function hubInput(input: () => ProcessInput | undefined): HubInput {
  return {
    write: async (data) => {
      const target = input();
      if (target === undefined) throw new Error('the process reads no more');
      await target.write(data);
    },
    end: () => {
      input()
        ?.end()
        .catch(() => undefined);
    },
  };
}

/** Hands an exec's output to the hub, no faster than its client takes it. Rejects when the connection breaks off. */
export async function pumpProcess(running: RunningProcess, hub: StreamHub): Promise<void> {
  for await (const { stream, data } of running.output) {
    hub.publish(stream, data);
    await hub.room();
  }
}
