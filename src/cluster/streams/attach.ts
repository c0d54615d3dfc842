// ContainerAttach: a client and the streams of a container's command, be it running or about to be started by whichever daemon.

import type { AttachOptions, LogLine, OpenStream } from '../../api/v1.41/backend';
import type { LogStream } from '../../semantics/logs/log-record';
import { requireDetachKeys } from '../../semantics/streams/detach-keys';
import { requireAttachable, runStreamSession } from '../../semantics/streams/stream-session';
import type { ClusterContainer } from '../records/cluster-container';
import type { ContainerReach } from './reach';
import { wholeLog, type RunHubs } from './run-hubs';

export interface AttachNeeds {
  reach: ContainerReach;
  hubs: RunHubs;
  /** The container's log so far, for `logs=1`, and up to which position of each stream it was read. */
  readLog: (signal: AbortSignal) => { lines: AsyncIterable<LogLine>; readTo: Record<LogStream, number> };
}

export async function attachToCluster(
  { reach, hubs, readLog }: AttachNeeds,
  { container, ref }: { container: ClusterContainer; ref: string },
  options: AttachOptions,
  open: OpenStream,
): Promise<void> {
  const detachKeys = requireDetachKeys(options.detachKeys);
  requireAttachable(container, ref);
  const { config } = container.record;
  const terminal = config.Tty;
  // Before the client hears that it is attached: it may start the container with its next request.
  const attachment = options.stream ? await hubs.attach(container, options) : undefined;
  try {
    const client = open({ terminal });
    if (options.logs) {
      const { lines, readTo } = readLog(client.signal);
      for await (const line of lines) {
        if (line.stream === 'stdout' ? options.stdout : options.stderr)
          await client.write(line.stream, line.data);
      }
      attachment?.subscription.skipTo(wholeLog, readTo);
    }
    reach.publish('attach', container);
    const takesInput = config.OpenStdin && options.stdin;
    if (attachment === undefined || !(takesInput || options.stdout || options.stderr)) return;
    const end = await runStreamSession({
      hub: attachment.hub,
      client,
      takesInput,
      subscription: attachment.subscription,
      detachKeys: terminal ? detachKeys : undefined,
      endsInput: config.StdinOnce && !terminal,
    });
    if (end === 'detached') reach.publish('detach', container);
  } finally {
    attachment?.close();
  }
}
