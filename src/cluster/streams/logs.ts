// `docker logs`.

import type { LogLine, LogsOptions } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { logAttributes, logSubject } from '../../semantics/logs/log-attributes';
import { logLines, selectRecords, wantedStreams } from '../../semantics/logs/log-selection';
import type { LogStream } from '../../semantics/logs/log-record';
import { requireLogsReadable } from '../../semantics/containers/container-refusals';
import type { ClusterContainer } from '../records/cluster-container';
import { followLog } from './follow-log';
import { LineAssembler } from './line-assembler';
import type { ContainerReach } from './reach';

/**
 * The lines of a container's log, and, as they are read, the position behind the last whole one of each stream. Following ends with the
 * run; one that does not run is not followed. Throws before the first line: InvalidParameter without a stream, NotImplemented for the
 * driver `none`, Conflict for what is being removed.
 */
export function clusterLogs(
  reach: ContainerReach,
  container: ClusterContainer,
  options: LogsOptions,
  signal: AbortSignal,
): { terminal: boolean; lines: AsyncIterable<LogLine>; readTo: Record<LogStream, number> } {
  const { record } = container;
  const streams = wantedStreams(options);
  if (record.hostConfig.LogConfig?.Type === 'none') {
    throw new DaemonError('NotImplemented', 'configured logging driver does not support reading');
  }
  requireLogsReadable(container);
  const readTo = { stdout: 0, stderr: 0 };
  const batches = readLines(reach, container, { ...options, streams }, readTo, signal);
  return { terminal: record.config.Tty, lines: logLines(batches), readTo };
}

async function* readLines(
  reach: ContainerReach,
  container: ClusterContainer,
  options: LogsOptions & { streams: ReadonlySet<LogStream> },
  readTo: Record<LogStream, number>,
  signal: AbortSignal,
): AsyncGenerator<LogLine[], void, undefined> {
  const { record } = container;
  const assembler = new LineAssembler(
    logAttributes(record.hostConfig.LogConfig?.Config ?? {}, logSubject(record)),
  );
  let skip = 0;
  let run: number | undefined;
  const follow = options.follow && (record.state.kind === 'running' || record.state.kind === 'paused');
  const log = followLog(
    {
      supervisor: () => reach.supervisor(container),
      connected: ({ start }) => {
        if (run !== undefined) return;
        run = start.run;
        skip = start.skip;
      },
      ...(options.tail === undefined ? { from: 0 } : { tail: options.tail }),
      follow,
      holds: false,
    },
    signal,
  );
  for await (const { events } of log) {
    const records = events.flatMap((event) => assembler.push(event));
    Object.assign(readTo, assembler.endedAt);
    const skipped = Math.min(skip, records.length);
    skip -= skipped;
    const { lines, past } = selectRecords(records.slice(skipped), options);
    if (lines.length > 0) yield lines;
    if (past) return;
    if (follow && events.some((event) => event.kind === 'exited' && event.run === run)) return;
  }
}
