import { execFileSync } from 'node:child_process';
import { benchmarkReport, figure, figuresOf } from '../../../../src/cli/benchmark/figures';
import { measures, parseRate, ratePerSecond } from '../../../../src/cli/benchmark/measures';

const info = {
  version: '0.1.0',
  accelerator: { kind: 'tcg', reason: 'no /dev/kvm' },
  vms: { total: 0, idle: 0, kept: 0, associated: 0 },
  pods: { total: 0, created: 0, running: 0 },
  factory: { poolSize: 2, default: { memoryBytes: 2 ** 29, cpus: 2 }, template: true, templates: [] },
} as const;

describe('figures of a benchmark', () => {
  it.each([
    [1234.5, '1235'],
    [99.96, '100.0'],
    [12.34, '12.3'],
    [0.1234, '0.12'],
  ])('%d is shown as %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });

  it('shows what came beside what failed, and says what to do', () => {
    const [first, second] = measures;
    if (first === undefined || second === undefined) throw new Error('nothing is measured');
    const report = benchmarkReport({ ...info, factory: { ...info.factory, templates: [] } }, [
      { measure: first, value: 12.5 },
      { measure: second, error: 'it broke' },
    ]);
    expect(report).toMatch(new RegExp(`^${first.name} +12\\.5 `, 'm'));
    expect(report).toMatch(new RegExp(`^${second.name} +failed `, 'm'));
    expect(report).toContain(`FAIL  ${second.name}: it broke`);
    expect(report).toContain('Please report');
    expect(benchmarkReport({ ...info, factory: { ...info.factory, templates: [] } }, [])).not.toContain(
      'report',
    );
  });

  it('are data for programs', () => {
    const [measure] = measures;
    if (measure === undefined) throw new Error('nothing is measured');
    const found = figuresOf({ ...info, factory: { ...info.factory, templates: [] } }, [
      { measure, value: 12.5 },
      { measure, error: 'it broke' },
    ]);
    expect(found).toMatchObject({
      accelerator: 'tcg',
      figures: [
        { name: measure.name, unit: measure.unit, emulated: measure.emulated, value: 12.5 },
        { name: measure.name, error: 'it broke' },
      ],
    });
  });
});

describe('a rate', () => {
  it('is what the script writes, on any machine', () => {
    const text = execFileSync('sh', ['-c', ratePerSecond(':')], { encoding: 'utf8' });
    expect(parseRate(text)).toBeGreaterThan(0);
  });

  it.each(['', 'nonsense', '1', '1 0', '-1 100', `${'9'.repeat(400)} 1`, '1 2 3'])(
    'is not read from %j',
    (text) => {
      expect(() => parseRate(text)).toThrow('something else than a rate');
    },
  );
});
