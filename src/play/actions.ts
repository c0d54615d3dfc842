// One attempt at a probe or a hook.

import { errorMessage } from '../errors';
import type { ActionPlan } from '../kubernetes/plan';
import { pause } from '../async/pause';
import type { PlayHost } from './host';

/** Where it is done. */
export interface ActionTarget {
  containerId: string;
  /** Of the Pod; '' while it has none. */
  address: string;
}

/** '' when it succeeded, else why not. Ends within the time; never rejects. */
export async function runAction(
  host: PlayHost,
  action: ActionPlan,
  { containerId, address }: ActionTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    switch (action.kind) {
      case 'sleep':
        await pause(Math.min(action.seconds * 1000, timeoutMs), signal);
        return '';
      case 'exec': {
        const stop = AbortSignal.any([signal, timeout]);
        const { exitCode, output } = await host.exec(containerId, action.command, stop);
        if (timeout.aborted) return 'timed out';
        return exitCode === 0 ? '' : `ended with ${exitCode}: ${output.toString().slice(0, 256).trim()}`;
      }
      case 'tcp':
      case 'http': {
        const to = action.host ?? address;
        if (to === '') return 'the Pod has no address';
        return await host.probe({
          address: to,
          port: action.port,
          timeoutMs,
          ...(action.kind === 'http'
            ? { http: { scheme: action.scheme, path: action.path, headers: headersOf(action.headers) } }
            : {}),
        });
      }
    }
  } catch (error) {
    return timeout.aborted ? 'timed out' : errorMessage(error);
  }
}

function headersOf(headers: readonly { name: string; value: string }[]): Record<string, string> {
  return Object.fromEntries(headers.map(({ name, value }) => [name, value]));
}
