// The four plots of a subject: CPU, memory, network, disk; of the last minutes or the last day.

import { useEffect, useState } from 'preact/hooks';
import type { Columns, History, HistorySpan, Measure, SubjectKind } from '../../../src/web/types';
import { get, query } from '../client';
import { memory, percent, rate } from '../logic/format';
import { Plot } from './plot';

const everyMs = 5_000;

export function useHistory(span: HistorySpan, kind?: SubjectKind, id?: string): History | undefined {
  const [history, setHistory] = useState<History>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const abort = new AbortController();
    const load = (): void => {
      const next = (): void => {
        if (!abort.signal.aborted) timer = setTimeout(load, everyMs);
      };
      if (document.hidden) next();
      else
        get<History>(`/web/history${query({ span, kind, id })}`, abort.signal)
          .then((found) => setHistory(found))
          .catch(() => undefined)
          .finally(next);
    };
    load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [span, kind, id]);
  return history;
}

export function SpanChoice({ span, onChange }: { span: HistorySpan; onChange: (span: HistorySpan) => void }) {
  return (
    <div class="choice" role="group" aria-label="Time">
      {(['minutes', 'day'] as const).map((one) => (
        <button key={one} type="button" aria-pressed={span === one} onClick={() => onChange(one)}>
          {one === 'minutes' ? 'Last minutes' : 'Last day'}
        </button>
      ))}
    </div>
  );
}

const none: Columns = { time: [], values: {} };

export function HistoryPlots({
  columns = none,
  hasNetwork = true,
}: {
  columns?: Columns | undefined;
  hasNetwork?: boolean;
}) {
  const { time, values } = columns;
  const column = (measure: Measure): (number | null)[] => values[measure] ?? time.map(() => null);
  const hasDisk = values.readBytes !== undefined || values.writtenBytes !== undefined;
  return (
    <div class="plots">
      <Plot
        title="CPU"
        time={time}
        lines={[{ name: 'CPU', values: column('cpuPercent') }]}
        format={percent}
        atLeast={5}
      />
      <Plot
        title="Memory"
        time={time}
        lines={[{ name: 'Memory', values: column('memoryBytes') }]}
        format={memory}
        atLeast={2 ** 20}
        binary
      />
      {hasNetwork && (
        <Plot
          title="Network"
          time={time}
          lines={[
            { name: 'in', values: column('rxBytes') },
            { name: 'out', values: column('txBytes') },
          ]}
          format={rate}
          atLeast={1000}
        />
      )}
      {hasDisk && (
        <Plot
          title="Disk"
          time={time}
          lines={[
            { name: 'read', values: column('readBytes') },
            { name: 'written', values: column('writtenBytes') },
          ]}
          format={rate}
          atLeast={1000}
        />
      )}
    </div>
  );
}
