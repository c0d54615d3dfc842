// `--check`: the build's warnings, and the error that would keep it from being built.

import { BuildError } from '../../contract/errors';
import { convertFor, type Build } from '../conversion/build';
import type { LintWarning } from '../lint/linter';
import { rules, ruleUrl } from '../lint/rules';
import { locationOf, type Answer } from './answer';

export async function lintAnswer(build: Build): Promise<Answer> {
  const { linter, info, native, options, signal } = build;
  let failure: BuildError | undefined;
  try {
    for (const platform of options.platforms ?? [native])
      await convertFor(build, platform, { allStages: true });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BuildError)) throw error;
    // an image that can't be had is no fault of the Dockerfile's
    if (isOfDockerfile(error)) failure = error;
  }
  const warnings = linter.warnings();
  const json = {
    warnings: warnings.map((warning) => ({
      ruleName: warning.rule,
      description: rules[warning.rule],
      url: ruleUrl(warning.rule),
      detail: warning.message,
      location: warning.lines === undefined ? {} : locationOf(warning.lines),
    })),
    sources: [{ filename: info.filename, language: info.language, data: info.data.toString('base64') }],
    ...(failure === undefined
      ? {}
      : { buildError: { message: failure.message, location: placeOf(failure) } }),
  };
  const text = [
    ...warnings.map((warning) => warningText(warning, build)),
    ...(failure === undefined ? [] : [`${failure.message}\n`]),
  ].join('\n');
  return { json, text, status: warnings.length > 0 || failure !== undefined ? 1 : 0 };
}

function isOfDockerfile({ cause, details }: BuildError): boolean {
  return details.some(({ kind }) => kind === 'source') && !(cause instanceof BuildError);
}

function placeOf({ details }: BuildError): object {
  const [source] = details.flatMap((detail) => (detail.kind === 'source' ? [detail] : []));
  const [range] = source?.ranges ?? [];
  if (range?.start === undefined || range.end === undefined) return {};
  return locationOf({ first: range.start.line, last: range.end.line });
}

function warningText({ rule, message, lines }: LintWarning, { info }: Build): string {
  const head = `WARNING: ${rule} - ${ruleUrl(rule)}\n${message}\n`;
  return lines === undefined
    ? head
    : `${head}${info.filename}:${lines.first}\n${excerpt(info.data.toString(), lines)}`;
}

const around = 2;
const ruler = '--------------------';

function excerpt(text: string, { first, last }: NonNullable<LintWarning['lines']>): string {
  const all = text.split('\n');
  const from = Math.max(1, first - around);
  const to = Math.min(all.length, last + around);
  const rows = all.slice(from - 1, to).map((line, i) => {
    const number = from + i;
    const mark = number >= first && number <= last ? '>>>' : '   ';
    return `${String(number).padStart(4)} | ${mark} ${line}`.trimEnd();
  });
  return `${[ruler, ...rows, ruler].join('\n')}\n`;
}
