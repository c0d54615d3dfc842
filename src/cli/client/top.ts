// `caisson top`: VMs and the containers in them, live.

import type { Command } from 'commander';
import { binarySize } from '../../go/size-text';
import { liveScreen } from '../terminal/live-screen';
import { isScreen, paletteOf, printable, type Palette } from '../terminal/style';
import type { ApiClient } from './api-client';
import { addFormat, type ClientAction } from './command';
import { print, shortId, type Format } from './output';
import { TopSampler, type TopSample, type TopVm, type Usage } from './top-samples';

const intervalMs = 2000;
/** Between the two looks of a single table. */
const onceMs = 1000;

const orders = ['cpu', 'memory', 'name'] as const;
type Order = (typeof orders)[number];

interface Row {
  cells: readonly string[];
  kind: 'vm' | 'container';
  state: string;
}

export function addTopCommand(program: Command, action: ClientAction): void {
  addFormat(
    program
      .command('top')
      .description('VMs and containers with what they use, live; q ends it')
      .option('--no-stream', 'one table, and no more'),
  ).action(
    action(async (client, { format, stream }: { format: Format; stream: boolean }) => {
      const isLive = stream && format === 'table' && isScreen(process.stdout) && process.stdin.isTTY;
      if (isLive) await showLive(client);
      else await showOnce(client, format);
    }),
  );
}

async function showOnce(client: ApiClient, format: Format): Promise<void> {
  const sampler = new TopSampler(client);
  await sampler.look();
  await new Promise((resolve) => setTimeout(resolve, onceMs));
  const sample = await sampler.look();
  print(format, sample, () =>
    topLines(sample, 'cpu', paletteOf({ isTTY: false }))
      .map((line) => `${line.trimEnd()}\n`)
      .join(''),
  );
}

async function showLive(client: ApiClient): Promise<void> {
  const sampler = new TopSampler(client);
  const palette = paletteOf(process.stdout);
  let sample: TopSample | undefined;
  let order: Order = 'cpu';
  await liveScreen({
    intervalMs,
    refresh: async () => {
      sample = await sampler.look();
    },
    onKey: (key) => {
      order = orders.find((other) => other.startsWith(key)) ?? order;
    },
    draw: () =>
      sample === undefined
        ? ['…']
        : [...topLines(sample, order, palette), '', palette.faint('c, m, n: by CPU, memory, name   q: end')],
  });
}

/** A line about all, and a table: each VM, and under it its containers. */
export function topLines(sample: TopSample, order: Order, palette: Palette): string[] {
  const { vms, version, accelerator, stopped } = sample;
  const containers = vms.flatMap((vm) => vm.containers);
  const idle = vms.filter(({ state }) => state === 'Idle').length;
  const head =
    `caisson ${version} (${accelerator})   VMs: ${vms.length}, ${idle} idle   ` +
    `containers: ${containers.length} on VMs, ${stopped} on none   ${sample.time.slice(11, 19)} UTC`;
  const rows = [...vms].sort(comparing(order)).flatMap((vm) => rowsOf(vm, order));
  const titles = ['VM / CONTAINER', 'STATE', 'CPU %', 'MEMORY', 'OF', 'PIDS', 'POD / IMAGE'];
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => (cells[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ');
  return [
    printable(head),
    '',
    palette.strong(line(titles)),
    ...rows.map(({ cells, kind, state }) => paintOf(kind, state, palette)(line(cells))),
  ];
}

function isNumber(column: number): boolean {
  return column >= 2 && column <= 5;
}

function rowsOf(vm: TopVm, order: Order): Row[] {
  const own: Row = {
    kind: 'vm',
    state: vm.state,
    cells: [
      vm.id,
      vm.state,
      percent(vm),
      bytes(vm.memoryBytes),
      bytes(vm.sizeBytes),
      '',
      vm.pod === '' ? vm.purpose : vm.pod,
    ].map(printable),
  };
  const members = [...vm.containers].sort(comparing(order)).map((container): Row => ({
    kind: 'container',
    state: container.state,
    cells: [
      `  ${container.name === '' ? shortId(container.id) : container.name}`,
      container.state,
      percent(container),
      bytes(container.memoryBytes),
      bytes(container.memoryLimitBytes),
      container.pids === undefined ? '' : String(container.pids),
      container.image,
    ].map(printable),
  }));
  return [own, ...members];
}

function paintOf(kind: Row['kind'], state: string, palette: Palette): (text: string) => string {
  if (state === 'no answer') return palette.bad;
  if (state === 'paused' || state === 'restarting') return palette.doubtful;
  if (kind === 'vm') return state === 'Idle' ? palette.faint : palette.strong;
  return (text) => text;
}

/** The largest first; those of whom nothing is known last. */
function comparing(
  order: Order,
): (a: Usage & { id: string; name?: string }, b: Usage & { id: string; name?: string }) => number {
  const name = ({ name, id }: { name?: string; id: string }): string => name ?? id;
  return (a, b) => {
    const byName = name(a) < name(b) ? -1 : 1;
    if (order === 'name') return byName;
    const key = order === 'cpu' ? 'cpuPercent' : 'memoryBytes';
    return (b[key] ?? -1) - (a[key] ?? -1) || byName;
  };
}

function percent({ cpuPercent }: Usage): string {
  return cpuPercent === undefined ? '-' : cpuPercent.toFixed(1);
}

function bytes(value: number | undefined): string {
  return value === undefined ? '-' : binarySize(value);
}
