// What `--progress=plain` prints, without what differs from one build to the next: times, sizes of transfers, the order of steps that
// run side by side and their numbers.

interface Step {
  title: string;
  lines: string[];
}

/** Text without numbered lines stays as it is, but for names of refs. */
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
  if (steps.size === 0) return steadyRef(text);
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

/**
 * Lines by title: ADD of a URL is two steps of one name, and its source is asked for or not, as are those of here-documents. A base image is told of under the number that it had in whichever build wanted
 * it first, once or twice, fetched or in the cache, or not at all: only its errors count. The oracle makes `--link` without merging.
 */
function byTitle(steps: Iterable<Step>): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const { title, lines: told } of steps) {
    const failed = told.some((line) => line.startsWith('ERROR'));
    if (!failed && /^(LINK |(\[[^\]]*\] )?FROM )/.test(title)) continue;
    const isSource =
      /^\[[^\]]*\] (load git source |preparing inline document|settings cache mount |ADD .*(:\/\/|@))/.test(
        title,
      );
    const steady = told.map((line) => (isSource && line === 'CACHED' ? 'DONE' : line));
    const all = [...(lines.get(title) ?? []), ...steady];
    const output = all.filter((line) => line !== 'DONE');
    lines.set(title, all.length === output.length ? output : [...output, 'DONE']);
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
  return steadyRef(line)
    .replace(/^\d+\.\d+ /, '') // of output, since the step began
    .replace(/ \d+(\.\d+)?s\b/g, '')
    .replace(/ [\d.]+[kMG]?B( \/ [\d.]+[kMG]?B)? done$/, ' done')
    .replace(/\b\d+(\.\d+)?[kMG]?B \/ \d+(\.\d+)?[kMG]?B\b/g, '<size>');
}

function steadyRef(text: string): string {
  return text.replace(/ of ref \S+: /g, ' of ref <ref>: ');
}
