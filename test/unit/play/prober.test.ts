import type { ContainerPlan, ProbePlan } from '../../../src/kubernetes/plan';
import type { PlayHost } from '../../../src/play/host';
import { Prober, type ProbeKind } from '../../../src/play/prober';

test('each result is told, with how many there were in a row', async () => {
  const exitCodes = [1, 1, 0];
  const host: Pick<PlayHost, 'exec'> = {
    exec: () => Promise.resolve({ exitCode: exitCodes.shift() ?? 0, output: Buffer.from('said') }),
  };
  const startup: ProbePlan = {
    action: { kind: 'exec', command: ['true'] },
    ...{ initialDelaySeconds: 0, periodSeconds: 0.01, timeoutSeconds: 5 },
    ...{ successThreshold: 1, failureThreshold: 3 },
  };
  const plan = { name: 'c', probes: { startup } } as unknown as ContainerPlan; // what the prober reads of it
  const told: [ProbeKind, string, number][] = [];
  const events = {
    ready: jest.fn(),
    failed: jest.fn(),
    probed: (...result: [ProbeKind, string, number]) => void told.push(result),
  };
  const target = (): { containerId: string; address: string } => ({ containerId: 'c', address: '' });
  await new Prober(host as PlayHost, plan, target, events).run(new AbortController().signal);
  expect(told).toEqual([
    ['startup', 'ended with 1: said', 1],
    ['startup', 'ended with 1: said', 2],
    ['startup', '', 1],
  ]);
  expect(events.ready).toHaveBeenCalledWith(true);
  expect(events.failed).not.toHaveBeenCalled();
});
