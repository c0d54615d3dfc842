// What `--progress=plain` prints, without what differs from one build to the next: times, sizes of transfers, the order of steps that
// run side by side and their numbers.

interface Step {
  title: string;
  lines: string[];
}

/** Text without numbered lines stays as it is. */
export function steadyProgress(text: string): string {
  const steps = new Map<string, Step>();
  const rest: string[] = [];
  for (const line of text.split('\n')) {
    const [, number, told = ''] = /^#(\d+) ?(.*)$/.exec(line) ?? [];
    if (number === undefined) {
      if (!line.startsWith('WARNING: current commit information was not captured'))
        rest.push(steadyLine(line));
      continue;
    }
    const step = steps.get(number);
    if (step === undefined) steps.set(number, { title: told, lines: [] });
    // told again after lines of another step
    else if (told !== step.title && told !== '...') step.lines.push(...steadyStepLine(told));
  }
  if (steps.size === 0) return text;
  const shown = [...byTitle(steps.values())]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([title, lines]) => [
      `# ${steadyLine(title)}`,
      // one that took its time is told when it begins, too
      ...lines.filter((line) => !lines.includes(`${line} done`)).map((line) => `#   ${line}`),
    ]);
  // the oracle's frontend is older than these
  const warnings = rest.findIndex((line) => /\d+ warnings? found/.test(line));
  if (warnings >= 0) rest.splice(warnings);
  return [...shown, ...rest].join('\n').replace(/\n{2,}/g, '\n');
}

/** ADD of a URL is two steps of one name. A source may be fetched or not when a step that is in the cache doesn't need it. */
function byTitle(steps: Iterable<Step>): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const { title, lines: told } of steps) {
    const isSource = /^\[[^\]]*\] (FROM|load git source) |^\[[^\]]*\] ADD .*(:\/\/|@)/.test(title);
    const steady = told.map((line) => (isSource && line === 'CACHED' ? 'DONE' : line));
    const known = lines.get(title) ?? [];
    lines.set(title, [...known, ...steady.filter((line) => line !== 'DONE' || !known.includes(line))]);
  }
  return lines;
}

function steadyStepLine(line: string): string[] {
  // of what is transferred the last line counts, whose size has that of the attributes in it
  if (/^transferring .*(?<! done)$/.test(line)) return [];
  if (/^(extracting|resolve|sha256:[0-9a-f]{64})( |$)/.test(line)) return [];
  if (/^\.\.\. ?$/.test(line) || line === '') return [];
  return [steadyLine(line)];
}

function steadyLine(line: string): string {
  return line
    .replace(/^\d+\.\d+ /, '') // of output, since the step began
    .replace(/ \d+(\.\d+)?s\b/g, '')
    .replace(/: [\d.]+[kMG]?B( \/ [\d.]+[kMG]?B)? done$/, ': done')
    .replace(/ of ref \S+: /, ' of ref <ref>: ')
    .replace(/\b\d+(\.\d+)?[kMG]?B \/ \d+(\.\d+)?[kMG]?B\b/g, '<size>');
}
