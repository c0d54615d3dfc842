// Attaching a client to a container's or an exec's streams.

import type { AttachOptions, LogLine, OpenStream } from '../../api/v1.41/backend';
import type { Container } from '../core/container-registry';
import { requireDetachKeys } from '../../semantics/streams/detach-keys';
import type { RunOffsets } from '../../semantics/logs/log-record';
import type { StreamHub } from '../../semantics/streams/stream-hub';
import { requireAttachable, runStreamSession } from '../../semantics/streams/stream-session';

export interface AttachDependencies {
  /** What the client called the container. */
  ref: string;
  hub: StreamHub;
  /** The container's log so far, for `logs=1`, and how far in the run that is. */
  readLog: (signal: AbortSignal, onRead: (offsets: RunOffsets) => void) => AsyncIterable<LogLine>;
  publish: (action: 'attach' | 'detach') => void;
}

/** ContainerAttach: the log if wanted, then the live streams if wanted. */
export async function attachToContainer(
  container: Container,
  options: AttachOptions,
  open: OpenStream,
  { ref, hub, readLog, publish }: AttachDependencies,
): Promise<void> {
  const detachKeys = requireDetachKeys(options.detachKeys);
  requireAttachable(container, ref);
  const { config } = container.record;
  const terminal = config.Tty;
  const subscription = options.stream
    ? hub.subscribe({ stdout: options.stdout, stderr: options.stderr })
    : undefined;
  try {
    const client = open({ terminal });
    if (options.logs) {
      let logged: RunOffsets | undefined;
      for await (const line of readLog(client.signal, (offsets) => (logged = offsets))) {
        if (line.stream === 'stdout' ? options.stdout : options.stderr)
          await client.write(line.stream, line.data);
      }
      // What came after the subscription began may have got into the log that was read since.
      if (logged !== undefined) subscription?.skipTo(logged.run, logged);
    }
    publish('attach');
    const takesInput = config.OpenStdin && options.stdin;
    // As dockerd: whoever is attached to nothing is done.
    if (subscription === undefined || !(takesInput || options.stdout || options.stderr)) return;
    const end = await runStreamSession({
      hub,
      client,
      takesInput,
      subscription,
      detachKeys: terminal ? detachKeys : undefined,
      endsInput: config.StdinOnce && !terminal,
    });
    if (end === 'detached') publish('detach');
  } finally {
    subscription?.close();
  }
}
