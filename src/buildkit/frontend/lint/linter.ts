// Takes what the parts find, by rule; leaves out what the Dockerfile or the client doesn't want to hear of.

import { parseGoBool } from '../../../go/bool';
import { DockerfileProblem } from '../text/problem';
import type { Lines } from '../text/statement';
import { experimentalRules, rules, type RuleName } from './rules';

export interface LintWarning {
  readonly rule: RuleName;
  readonly message: string;
  readonly lines: Lines | undefined;
}

export interface LintSettings {
  /** `all`, or rules that are not told of. */
  readonly skip: 'all' | ReadonlySet<string>;
  readonly experimental: 'all' | ReadonlySet<string>;
  /** A build with warnings fails. */
  readonly error: boolean;
}

const maxWarnings = 1000;

/** `skip=A,B;error=true;experimental=all` (Dockerfile reference, "check"). Throws DockerfileProblem. */
export function readLintSettings(text: string): LintSettings {
  const settings = {
    skip: new Set<string>() as LintSettings['skip'],
    experimental: new Set<string>() as LintSettings['experimental'],
    error: false,
  };
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    if (equals < 0) throw new DockerfileProblem(`invalid check option "${part.trim()}"`);
    const name = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (name === 'skip' || name === 'experimental') {
      settings[name] = value === 'all' ? 'all' : new Set(value.split(',').map((rule) => rule.trim()));
    } else if (name === 'error') {
      const error = parseGoBool(value);
      if (error === undefined)
        throw new DockerfileProblem(
          `failed to parse check option "error": strconv.ParseBool: parsing "${value}": invalid syntax`,
        );
      settings.error = error;
    } else throw new DockerfileProblem(`invalid check option "${name}"`);
  }
  return settings;
}

export class Linter {
  readonly settings: LintSettings;
  readonly #warnings: LintWarning[] = [];
  readonly #seen = new Set<string>();

  constructor(settings: LintSettings) {
    this.settings = settings;
  }

  report(rule: RuleName, lines: Lines | undefined, message: string): void {
    if (!this.wants(rule) || this.#warnings.length >= maxWarnings) return;
    // a stage that is built for two platforms says it once
    const key = `${rule} ${lines?.first ?? ''} ${message}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#warnings.push({ rule, message, lines });
  }

  wants(rule: RuleName): boolean {
    const { skip, experimental } = this.settings;
    if (experimentalRules.has(rule)) return experimental === 'all' || experimental.has(rule);
    return skip !== 'all' && !skip.has(rule);
  }

  /** In the order of the file. */
  warnings(): LintWarning[] {
    return this.#warnings.toSorted((a, b) => (a.lines?.first ?? 0) - (b.lines?.first ?? 0));
  }

  /** Throws DockerfileProblem where warnings are to be errors and there are some. */
  requireNone(): void {
    if (!this.settings.error || this.#warnings.length === 0) return;
    const [first] = this.warnings();
    const names = [...new Set(this.warnings().map(({ rule, lines }) => lintPlace(rule, lines)))];
    throw new DockerfileProblem(`lint violation found for rules: ${names.join(', ')}`, first?.lines);
  }
}

function lintPlace(rule: RuleName, lines: Lines | undefined): string {
  return lines === undefined ? rule : `${rule} (line ${lines.first})`;
}

export function descriptionOfRule(rule: RuleName): string {
  return rules[rule];
}
