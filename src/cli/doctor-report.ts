// What doctor found, and how it is printed.

import { paletteOf, type Screen } from './terminal/style';

export type FindingLevel = 'ok' | 'warn' | 'fail';

export interface Finding {
  level: FindingLevel;
  /** The requirement, in a word or two. */
  subject: string;
  /** What was seen. */
  detail: string;
  /** What to do about it; only where there is something to do. */
  advice?: string;
}

export function ok(subject: string, detail: string): Finding {
  return { level: 'ok', subject, detail };
}

/** Containers run, but slower or with something missing. */
export function warn(subject: string, detail: string, advice?: string): Finding {
  return { level: 'warn', subject, detail, ...(advice === undefined ? {} : { advice }) };
}

/** No container runs until this is mended. */
export function fail(subject: string, detail: string, advice: string): Finding {
  return { level: 'fail', subject, detail, advice };
}

const marks: Record<FindingLevel, string> = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' };

/** One line for each finding, its advice under it, and a verdict at the end. */
export function formatReport(findings: readonly Finding[], screen: Screen = {}): string {
  const { good, doubtful, bad, strong } = paletteOf(screen);
  const paints: Record<FindingLevel, (text: string) => string> = { ok: good, warn: doubtful, fail: bad };
  const width = Math.max(0, ...findings.map(({ subject }) => subject.length));
  const lines = findings.flatMap(({ level, subject, detail, advice }) => [
    `${paints[level](marks[level])}  ${subject.padEnd(width)}  ${detail.trim().replace(/\s*\n\s*/g, '; ')}`,
    ...(advice === undefined ? [] : [`      ${' '.repeat(width)}→ ${strong(advice)}`]),
  ]);
  const count = (level: FindingLevel): number => findings.filter((finding) => finding.level === level).length;
  const verdict =
    count('fail') > 0
      ? `${count('fail')} to mend before containers can run`
      : count('warn') > 0
        ? `containers can run; ${count('warn')} could be better`
        : 'all is well';
  return [...lines, '', verdict, ''].join('\n');
}

/** Exit status for scripts: 0 if containers can run. */
export function exitCodeOf(findings: readonly Finding[]): number {
  return findings.some(({ level }) => level === 'fail') ? 1 : 0;
}
