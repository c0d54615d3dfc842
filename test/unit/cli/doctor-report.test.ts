import { exitCodeOf, fail, formatReport, ok, warn } from '../../../src/cli/doctor-report';

describe('doctor’s report', () => {
  it('lines findings up and puts advice under them', () => {
    const text = formatReport([ok('qemu', '7.2'), fail('guest', 'missing', 'npm run guest')]);
    expect(text.split('\n').slice(0, 3)).toEqual([
      'ok    qemu   7.2',
      'FAIL  guest  missing',
      '           → npm run guest',
    ]);
  });

  it.each([
    [[ok('a', 'b')], 'all is well', 0],
    [[ok('a', 'b'), warn('c', 'd')], 'containers can run; 1 could be better', 0],
    [[warn('c', 'd'), fail('e', 'f', 'g')], '1 to mend before containers can run', 1],
  ])('gives a verdict and an exit status: case %#', (findings, verdict, exitCode) => {
    expect(formatReport(findings)).toContain(verdict);
    expect(exitCodeOf(findings)).toBe(exitCode);
  });
});
