// The whole as one picture: which container in which Pod on which VM, memory as area; what it uses, what is wrong, what lies on disk.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { DiskUsage } from '../../../src/docker/types';
import type { DoctorReply, HistorySpan } from '../../../src/web/types';
import type { PodSummary, VmSummary } from '../../../src/api/v1/types';
import { docker, get, send } from '../client';
import { usageOf, type Usage } from '../logic/disk-usage';
import { ago, bytes, memory, shortId } from '../logic/format';
import { treemap } from '../logic/treemap';
import { HistoryPlots, SpanChoice, useHistory } from '../parts/history-plots';
import { Ask, Button, Empty, Failure, Head, Loading, State, useLoad } from '../parts/ui';
import { Live } from './overview-live';
import { containers, go, info, link, own, pods, refresh, vms } from '../store';

export function OverviewView() {
  const [span, setSpan] = useState<HistorySpan>('minutes');
  const history = useHistory(span);
  const host = history?.subjects.find(({ kind }) => kind === 'host')?.columns;
  const facts = own.value;
  const [running, all] = [
    containers.value?.filter(({ State: state }) => state === 'running').length,
    containers.value?.length,
  ];
  useEffect(() => {
    refresh('pods', 'system');
    const timer = setInterval(() => {
      if (!document.hidden) refresh('pods', 'system');
    }, 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <section class="view">
      <Head
        title="Overview"
        sub={
          info.value === undefined
            ? undefined
            : `${info.value.Name}, ${info.value.NCPU} CPUs, ${memory(info.value.MemTotal)} of memory`
        }
      >
        <Button kind="primary" icon="plus" changes onClick={() => go('run')}>
          Run
        </Button>
      </Head>
      <dl class="numbers">
        <Fact name="Containers" value={running} rest={`running of ${all ?? '–'}`} />
        <Fact name="Pods" value={facts?.pods.running} rest={`running of ${facts?.pods.total ?? '–'}`} />
        <Fact name="Machines" value={facts?.vms.total} rest={`${facts?.vms.idle ?? '–'} idle`} />
        <Fact
          name="Accelerator"
          value={facts?.accelerator.kind.toUpperCase()}
          rest={facts?.accelerator.kind === 'tcg' ? 'emulation' : 'hardware'}
        />
      </dl>
      <Picture history={history} />
      <Live history={history} />
      <div class="card">
        <header>
          <h2>This host</h2>
          <SpanChoice span={span} onChange={setSpan} />
        </header>
        <HistoryPlots columns={host} />
      </div>
      <div class="two">
        <Doctor />
        <Disk />
      </div>
    </section>
  );
}

function Fact({ name, value, rest }: { name: string; value: string | number | undefined; rest: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value ?? '–'} <small class="muted">{rest}</small>
      </dd>
    </div>
  );
}

const pictureHeight = 340;
/** Beyond them a name would not be read. */
const shownMachines = 300;

function Picture({ history }: { history: ReturnType<typeof useHistory> }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const taken = new Map(
    (history?.subjects ?? [])
      .filter(({ kind }) => kind === 'vm')
      .map(({ id, columns }) => [id, columns.values.memoryBytes?.findLast((value) => value !== null) ?? 0]),
  );
  const machines = (vms.value ?? []).slice(0, shownMachines);
  const height = width < 500 ? pictureHeight * 1.4 : pictureHeight;
  const boxes = treemap(
    machines.map(({ id }) => taken.get(id) ?? 0),
    { x: 0, y: 0, width, height },
  );
  return (
    <div class="card">
      <header>
        <h2>Machines, Pods and containers</h2>
        <span class="muted legend">area: memory taken on this host</span>
      </header>
      {machines.length === 0 && vms.value !== undefined && (
        <Empty icon="vms" title="No machine yet">
          <p>Each container that you run gets one.</p>
        </Empty>
      )}
      <div class="picture" ref={box} style={{ height: machines.length === 0 ? '0' : `${height}px` }}>
        {boxes.map(({ x, y, width: w, height: h }, index) => {
          const vm = machines[index];
          if (vm === undefined) return null;
          return (
            <div
              key={vm.id}
              class="machine-place"
              style={{ left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` }}
            >
              <Machine
                vm={vm}
                bytesTaken={taken.get(vm.id)}
                pod={pods.value?.find(({ vmId }) => vmId === vm.id)}
              />
            </div>
          );
        })}
      </div>
      {(vms.value?.length ?? 0) > shownMachines && (
        <p class="muted">and {(vms.value?.length ?? 0) - shownMachines} more</p>
      )}
    </div>
  );
}

function Machine({
  vm,
  pod,
  bytesTaken,
}: {
  vm: VmSummary;
  pod: PodSummary | undefined;
  bytesTaken: number | undefined;
}) {
  return (
    <div class={`machine is-${vm.state === 'Idle' ? 'idle' : 'used'}`}>
      <a class="machine-name" href={link('vms', vm.id)}>
        <span class="clip">
          {pod === undefined
            ? vm.purpose === 'pool'
              ? 'waits in the pool'
              : 'kept'
            : pod.kind === 'container'
              ? `machine ${shortId(vm.id).slice(0, 6)}`
              : pod.name}
        </span>
        <span class="nowrap">{bytesTaken === undefined || bytesTaken === 0 ? '' : memory(bytesTaken)}</span>
      </a>
      <div class="machine-inside">
        {pod?.containers.map(({ id, dockerName, status }) => (
          <a
            key={id}
            class={`inmate state-${status}`}
            href={link('containers', id)}
            title={`${dockerName}: ${status}`}
          >
            <span class="dot" aria-hidden="true" />
            <span class="clip">{dockerName}</span>
            <span class="unseen">{status}</span>
          </a>
        ))}
      </div>
    </div>
  );
}

function Doctor() {
  const { value, error, again } = useLoad<DoctorReply>((signal) => get('/web/doctor', signal), []);
  const wrong = (value?.findings ?? []).filter(({ level }) => level !== 'ok');
  return (
    <div class="card">
      <header>
        <h2>Is this machine fit?</h2>
        <Button kind="quiet" icon="restart" label="Look again" onClick={again} />
      </header>
      {value === undefined && error === undefined && <Loading what="Looking" />}
      {error !== undefined && <Failure error={error} />}
      {value !== undefined && (
        <ul class="findings">
          {wrong.map(({ level, subject, detail, advice }, index) => (
            <li key={index}>
              <State name={level === 'fail' ? 'bad' : 'warn'} text={subject} />
              <p>
                {detail}
                {advice !== undefined && <span class="muted"> → {advice}</span>}
              </p>
            </li>
          ))}
          <li>
            <State
              name={wrong.length === 0 ? 'good' : 'created'}
              text={`${value.findings.length - wrong.length} fine`}
            />
            <p class="muted">
              {wrong.length === 0 ? 'All is well. ' : ''}As `caisson doctor` found {ago(value.at * 1000)}.
            </p>
          </li>
        </ul>
      )}
    </div>
  );
}

function Disk() {
  const { value, error, again } = useLoad<DiskUsage>((signal) => get(docker('/system/df'), signal), []);
  const [asked, setAsked] = useState<Usage>();
  const rows = value === undefined ? [] : usageOf(value);
  const most = Math.max(1, ...rows.map(({ total }) => total));
  return (
    <div class="card">
      <header>
        <h2>On disk</h2>
        <Button kind="quiet" icon="restart" label="Look again" onClick={again} />
      </header>
      {value === undefined && error === undefined && <Loading what="Adding up" />}
      {error !== undefined && <Failure error={error} />}
      <ul class="disk">
        {rows.map((row) => (
          <li key={row.name}>
            <span class="disk-name">{row.name}</span>
            <span class="nowrap">{bytes(row.total, 4)}</span>
            <span class="meter" aria-hidden="true">
              <i style={{ width: `${((row.total - row.free) / most) * 100}%` }} />
              <i class="free" style={{ width: `${(Math.min(row.free, row.total) / most) * 100}%` }} />
            </span>
            <Button
              kind="quiet"
              changes
              disabled={row.free === 0}
              label={`${freeText(row.free)}: prune ${row.name.toLowerCase()}`}
              onClick={() => setAsked(row)}
            >
              {freeText(row.free)}
            </Button>
          </li>
        ))}
      </ul>
      {asked !== undefined && (
        <Ask
          title={`Prune ${asked.name.toLowerCase()}`}
          text={`What nothing uses is removed, about ${bytes(asked.free, 4)}.`}
          action="Remove it"
          danger
          run={async () => {
            await send('POST', docker(asked.prune));
            refresh('containers', 'images', 'volumes');
            again();
          }}
          done="Done."
          onClose={() => setAsked(undefined)}
        />
      )}
    </div>
  );
}

function freeText(free: number): string {
  return free === 0 ? 'Nothing to prune' : `Free ${bytes(free, 4)}`;
}
