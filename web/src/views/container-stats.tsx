// What a container uses: the numbers of `docker stats`, and plots of what the daemon has kept.

import { useEffect, useState } from 'preact/hooks';
import type { ContainerInspect, ContainerStats } from '../../../src/docker/types';
import type { HistorySpan } from '../../../src/web/types';
import { docker, objects, part, request } from '../client';
import { bytes, exactPercent, memory } from '../logic/format';
import { cpuPercent, memoryUsed, networkBytes, diskBytes } from '../logic/stats';
import { HistoryPlots, SpanChoice, useHistory } from '../parts/history-plots';
import { Empty } from '../parts/ui';
import { isLive } from '../store';

export function StatsPart({ inspect }: { inspect: ContainerInspect }) {
  const [span, setSpan] = useState<HistorySpan>('minutes');
  const history = useHistory(span, 'container', inspect.Id);
  const sample = useStats(inspect);
  const columns = history?.subjects[0]?.columns;
  if (sample === undefined && columns === undefined && !inspect.State.Running) {
    return (
      <Empty icon="events" title="It uses nothing">
        <p>The container does not run, and has not run lately.</p>
      </Empty>
    );
  }
  const network = sample === undefined ? undefined : networkBytes(sample);
  const disk = sample === undefined ? undefined : diskBytes(sample);
  return (
    <div class="scroll">
      <dl class="numbers">
        <Number name="CPU" value={sample === undefined ? '–' : exactPercent(cpuPercent(sample))} />
        <Number
          name="Memory"
          value={memory(sample === undefined ? undefined : memoryUsed(sample))}
          of={inspect.State.Running ? `of ${memory(sample?.memory_stats.limit)}` : ''}
        />
        <Number name="Network in / out" value={`${bytes(network?.received)} / ${bytes(network?.sent)}`} />
        <Number name="Disk read / written" value={`${bytes(disk?.read)} / ${bytes(disk?.written)}`} />
        <Number name="Processes" value={String(sample?.pids_stats.current ?? '–')} />
      </dl>
      <div class="tools end">
        <SpanChoice span={span} onChange={setSpan} />
      </div>
      <HistoryPlots columns={columns} hasNetwork={inspect.HostConfig.NetworkMode !== 'none'} />
    </div>
  );
}

function Number({ name, value, of = '' }: { name: string; value: string; of?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <small class="muted">{of}</small>
      </dd>
    </div>
  );
}

function useStats({ Id, State }: ContainerInspect): ContainerStats | undefined {
  const [sample, setSample] = useState<ContainerStats>();
  useEffect(() => {
    setSample(undefined);
    if (!State.Running || !isLive.value) return undefined;
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const response = await request(docker(`/containers/${part(Id)}/stats`), { signal: abort.signal });
      for await (const next of objects<ContainerStats>(response)) setSample(next);
    };
    read().catch(() => undefined); // it ended, or the daemon: the page says so
    return () => abort.abort();
  }, [Id, State.Running, State.StartedAt, isLive.value]);
  return sample;
}
