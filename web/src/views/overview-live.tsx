// What each machine and each container uses now, and lately: those that work the most first.

import { useState } from 'preact/hooks';
import type { PodSummary, VmSummary } from '../../../src/api/v1/types';
import type { Columns, History, Measure, SubjectKind } from '../../../src/web/types';
import { memory, percent, rate, shortId } from '../logic/format';
import { latest, summed } from '../logic/measures';
import { Sparkline } from '../parts/sparkline';
import { link, pods, vms } from '../store';

const shownAtFirst = 12;
const none: Columns = { time: [], values: {} };

export function Live({ history }: { history: History | undefined }) {
  const [all, setAll] = useState(false);
  const of = (kind: SubjectKind, id: string): Columns =>
    history?.subjects.find((subject) => subject.kind === kind && subject.id === id)?.columns ?? none;
  const machines = (vms.value ?? [])
    .filter(({ state }) => state === 'Associated')
    .map((vm) => ({ vm, columns: of('vm', vm.id), pod: pods.value?.find(({ vmId }) => vmId === vm.id) }))
    .sort((a, b) => (latest(b.columns, 'cpuPercent') ?? 0) - (latest(a.columns, 'cpuPercent') ?? 0));
  if (machines.length === 0) return null;
  const shown = all ? machines : machines.slice(0, shownAtFirst);
  return (
    <div class="card live">
      <header>
        <h2>What each uses</h2>
        <span class="muted legend">a machine as the host sees it, its containers as it sees them</span>
      </header>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="What each uses">
        <table>
          <thead>
            <tr>
              <th scope="col">Machine and containers</th>
              <th scope="col">CPU</th>
              <th scope="col">Memory</th>
              <th scope="col">Network</th>
              <th scope="col">Disk</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ vm, columns, pod }) => (
              <Group key={vm.id} vm={vm} columns={columns} pod={pod} of={of} />
            ))}
          </tbody>
        </table>
      </div>
      {machines.length > shown.length && (
        <button type="button" class="as-link" onClick={() => setAll(true)}>
          And {machines.length - shown.length} more
        </button>
      )}
    </div>
  );
}

interface GroupProps {
  vm: VmSummary;
  columns: Columns;
  pod: PodSummary | undefined;
  of: (kind: SubjectKind, id: string) => Columns;
}

function Group({ vm, columns, pod, of }: GroupProps) {
  const running = (pod?.containers ?? []).filter(({ status }) => status === 'running');
  // those of a Pod share their network: each of them counts all of it
  const [first] = running;
  return (
    <>
      <tr class="of-machine">
        <th scope="row">
          <a href={link('vms', vm.id)}>
            {pod === undefined || pod.kind === 'container'
              ? `machine ${shortId(vm.id).slice(0, 6)}`
              : pod.name}
          </a>
        </th>
        <Cells columns={columns} network={first === undefined ? none : of('container', first.id)} />
      </tr>
      {running.map(({ id, dockerName }) => {
        const own = of('container', id);
        return (
          <tr key={id} class="of-container">
            <th scope="row">
              <a class="clip" href={link('containers', id, 'stats')}>
                {dockerName}
              </a>
            </th>
            <Cells columns={own} network={own} />
          </tr>
        );
      })}
    </>
  );
}

function Cells({ columns, network }: { columns: Columns; network: Columns }) {
  const cell = (
    values: (number | null)[],
    format: (value: number | null | undefined) => string,
    atLeast: number,
  ) => (
    <td>
      <span class="spark-cell">
        <Sparkline values={values} atLeast={atLeast} />
        <span class="nowrap">{format(values.findLast((value) => value !== null))}</span>
      </span>
    </td>
  );
  const column = (measure: Measure): (number | null)[] => columns.values[measure] ?? [];
  return (
    <>
      {cell(column('cpuPercent'), percent, 10)}
      {cell(column('memoryBytes'), memory, 2 ** 20)}
      {cell(summed(network, 'rxBytes', 'txBytes'), rate, 1000)}
      {cell(summed(columns, 'readBytes', 'writtenBytes'), rate, 1000)}
    </>
  );
}
