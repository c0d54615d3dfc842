import { IdleMemory } from '../../../src/daemon/idle-memory';

const mib = 1024 * 1024;

/** A process whose figures are set by hand. */
function processOf(residentMib: number) {
  const now = { cpuUs: 1_000_000, residentMib };
  const collected: number[] = [];
  const memory = new IdleMemory({
    cpuUs: () => now.cpuUs,
    residentBytes: () => now.residentMib * mib,
    collect: () => {
      collected.push(now.residentMib);
      now.residentMib = 30;
      now.cpuUs += 400_000;
    },
  });
  return { now, memory, collected };
}

it('collects once when it has grown and nothing is to do', () => {
  const { now, memory, collected } = processOf(25);
  memory.check();
  expect(collected).toEqual([]);
  now.residentMib = 110;
  now.cpuUs += 3_000_000; // still at work
  memory.check();
  expect(collected).toEqual([]);
  now.cpuUs += 10_000;
  memory.check();
  memory.check();
  memory.check();
  expect(collected).toEqual([110]);
});

it('collects again when it has grown again, whatever the collection itself has cost', () => {
  const { now, memory, collected } = processOf(25);
  for (const residentMib of [60, 80]) {
    now.residentMib = residentMib;
    memory.check();
    now.residentMib += 2; // idle, but never quite
    memory.check();
  }
  expect(collected).toEqual([60, 80]);
});
