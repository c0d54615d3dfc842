import { dayStepSeconds, Series } from '../../../src/web/series';
import { Sampler } from '../../../src/web/sampler';
import type { ContainerStats, ContainerSummary } from '../../../src/docker/types';

describe('Series', () => {
  test('keeps ten minutes in steps as they came, the oldest go', () => {
    const series = new Series();
    for (let step = 0; step < 200; step++) series.add(1000 + step * 5, { cpuPercent: step });
    const { time, values } = series.minutes();
    expect(time).toHaveLength(120);
    expect(time[0]).toBe(1000 + 80 * 5);
    expect(values.cpuPercent?.at(-1)).toBe(199);
    expect(values.rxBytes).toBeUndefined();
  });

  test('keeps a day in means, with the step that is not over', () => {
    const series = new Series();
    const steps = 400;
    for (let step = 0; step < steps; step++) {
      series.add(step * dayStepSeconds, { memoryBytes: step * 100 });
      series.add(step * dayStepSeconds + 100, {
        memoryBytes: step * 100 + 50,
        ...(step === 399 ? { rxBytes: 7 } : {}),
      });
    }
    const { time, values } = series.day();
    expect(time).toHaveLength(289);
    expect(time.at(-1)).toBe(steps * dayStepSeconds);
    expect(values.memoryBytes?.at(-1)).toBe(39_925);
    expect(values.memoryBytes?.at(-2)).toBe(39_825);
    expect(values.rxBytes?.slice(-2)).toEqual([null, 7]);
  });

  test('nothing yet is nothing', () => {
    expect(new Series().day()).toEqual({ time: [], values: {} });
    expect(new Series().minutes()).toEqual({ time: [], values: {} });
  });
});

function stats(cpuSeconds: number, received: number): ContainerStats {
  const zero = { rx_packets: 0, rx_errors: 0, rx_dropped: 0, tx_packets: 0, tx_errors: 0, tx_dropped: 0 };
  const sample = {
    cpu_stats: { cpu_usage: { total_usage: cpuSeconds * 1e9 } },
    memory_stats: { usage: 1000, stats: { cache: 700, total_inactive_file: 400 } },
    networks: { eth0: { ...zero, rx_bytes: received, tx_bytes: 0 } },
    blkio_stats: { io_service_bytes_recursive: null },
  };
  return sample as unknown as ContainerStats;
}

describe('Sampler', () => {
  test('asks many containers in turns, and keeps what it heard of those that ended', async () => {
    const asked: string[] = [];
    const running = Array.from({ length: 60 }, (_, index) => ({ Id: `c${index}`, State: 'running' }));
    let count = 0;
    const sampler = new Sampler({
      containers: () => Promise.resolve(running as ContainerSummary[]),
      stats: (id) => {
        asked.push(id);
        count += 1;
        if (id === 'c3') return Promise.reject(new Error('gone'));
        return Promise.resolve(stats(count, count * 1000));
      },
      vms: () => [
        { id: 'v1', pid: process.pid },
        { id: 'v2', pid: 2 ** 22 - 1 },
      ],
    });
    for (let round = 0; round < 5; round++) await sampler.sample();
    expect(asked.slice(0, 60)).toEqual(running.map(({ Id }) => Id));
    expect(asked).toHaveLength(120);
    const { subjects } = sampler.history('minutes', { kind: 'container', id: 'c1' });
    expect(subjects).toHaveLength(1);
    expect(subjects[0]?.columns.values.memoryBytes).toEqual([600, 600]);
    expect(subjects[0]?.columns.values.rxBytes?.[1]).toBeGreaterThan(0);
    expect(sampler.history('day', { kind: 'vm' }).subjects.map(({ id }) => id)).toEqual(['v1']);
    const [host] = sampler.history('minutes', { kind: 'host' }).subjects;
    expect(host?.columns.values.rxBytes?.at(-1)).toBeGreaterThanOrEqual(0);
    expect(host?.columns.values.writtenBytes?.at(-1)).toBeGreaterThanOrEqual(0);
    // this very process: what it has for itself, without the files that it has mapped
    const [machine] = sampler.history('minutes', { kind: 'vm' }).subjects;
    expect(machine?.peakMemoryBytes).toBeGreaterThan(1e6);
    expect(machine?.peakMemoryBytes).toBeLessThan(process.memoryUsage.rss());
    running.length = 0;
    await sampler.sample();
    expect(sampler.history('minutes', { id: 'c1' }).subjects).toHaveLength(1);
    await sampler.close();
  });
});
