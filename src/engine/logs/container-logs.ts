// `docker logs`.

import type { LogLine, LogsOptions } from '../../api/v1.41/backend';
import { requireLogsReadable } from '../../semantics/containers/container-refusals';
import type { Container } from '../core/container-registry';
import type { ContainerLogStore } from './container-log-store';
import { logLines, wantedStreams } from '../../semantics/logs/log-selection';
import { readLogBatches } from './log-reader';
import type { RunOffsets } from '../../semantics/logs/log-record';

/**
 * The lines of a container's log. Following ends with the run, as in Docker also when the container is restarted;
 * one that doesn't run is not followed. Throws before the first line: InvalidParameter without a stream,
 * NotImplemented for the driver `none`, Conflict for what is being removed. `onRead`: see LogReadOptions.
 */
export function containerLogs(
  container: Container,
  logs: ContainerLogStore,
  options: LogsOptions,
  signal: AbortSignal,
  onRead?: (offsets: RunOffsets) => void,
): { terminal: boolean; lines: AsyncIterable<LogLine> } {
  const { record } = container;
  const streams = wantedStreams(options);
  requireLogsReadable(container);
  const { tail, follow, sinceMs, untilMs, timestamps, details } = options;
  const batches = readLogBatches(
    logs.source(record),
    {
      streams,
      follow,
      sinceMs,
      untilMs,
      tail,
      timestamps,
      details,
      ...(onRead === undefined ? {} : { onRead }),
    },
    signal,
  );
  return { terminal: record.config.Tty, lines: logLines(batches) };
}
