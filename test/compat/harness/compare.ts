// Puts two transcripts of one case side by side.

import type { Exception } from '../exceptions';
import { type KnownIds, Normaliser, steadyItems } from './normalise';

/** One thing seen by a client: a step of a shell script, a reply, what an SDK call gave. */
export interface Observation {
  label: string;
  exitCode?: number;
  stdout?: string;
  stderr?: string;
  value?: unknown;
}

export type Transcript = readonly Observation[];

export interface ComparisonContext {
  caseName: string;
  knownIds: KnownIds;
  exceptions: readonly Exception[];
}

/** What differs, one line each; nothing if the two are alike but for the named exceptions. */
export function compareTranscripts(
  docker: Transcript,
  ours: Transcript,
  context: ComparisonContext,
): string[] {
  const exceptions = context.exceptions.filter(
    ({ cases }) => cases === undefined || cases.test(context.caseName),
  );
  const [expected, actual] = [docker, ours].map((side) => {
    const normaliser = new Normaliser(context.knownIds);
    return side.map((observation) => {
      const its = exceptions.filter(({ labels }) => labels === undefined || labels.test(observation.label));
      return flattenObservation(observation, normaliser, its);
    });
  });
  const differences: string[] = [];
  docker.forEach(({ label }, index) => {
    differences.push(...compareFlat(label, expected?.[index] ?? new Map(), actual?.[index] ?? new Map()));
  });
  if (docker.length !== ours.length) differences.push(`${docker.length} observations against ${ours.length}`);
  return differences;
}

type Flat = ReadonlyMap<string, string>;

function compareFlat(label: string, expected: Flat, actual: Flat): string[] {
  const paths = [...new Set([...expected.keys(), ...actual.keys()])];
  return paths
    .filter((path) => expected.get(path) !== actual.get(path))
    .map(
      (path) =>
        `${label}\n    ${path}\n      dockerd: ${expected.get(path) ?? '(absent)'}\n      caisson: ${actual.get(path) ?? '(absent)'}`,
    );
}

/** The observation as leaf values by path: `stdout[0].State.Status`. */
function flattenObservation(
  observation: Observation,
  normaliser: Normaliser,
  exceptions: readonly Exception[],
): Flat {
  const flat = new Map<string, string>();
  const replaced = (text: string): string =>
    exceptions.reduce(
      (result, exception) =>
        exception.text === undefined ? result : result.replace(exception.text[0], exception.text[1]),
      text,
    );
  const put = (path: string, normalised: () => unknown): void => {
    if (exceptions.some((exception) => exception.path?.test(path) === true)) return;
    const value = normalised();
    flat.set(path, JSON.stringify(typeof value === 'string' ? replaced(value) : value));
  };
  // sorted by key, so that ids are numbered alike on both sides; what is excepted gets no number
  const walk = (path: string, value: unknown, key: string): void => {
    if (Array.isArray(value) && value.length > 0) {
      steadyItems(value, key).forEach((item, index) => walk(`${path}[${index}]`, item, key));
    } else if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
      for (const [name, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
        walk(`${path}.${normaliser.text(name)}`, item, name);
      }
    } else {
      put(path, () => normaliser.leaf(value, key));
    }
  };
  if (observation.exitCode !== undefined) put('exit code', () => observation.exitCode);
  for (const stream of ['stdout', 'stderr'] as const) {
    const raw = observation[stream];
    if (raw === undefined) continue;
    const parsed = parseDocument(raw);
    if (parsed === undefined) put(stream, () => normaliser.text(raw));
    else walk(stream, parsed, '');
  }
  if ('value' in observation) walk('value', observation.value, '');
  return flat;
}

/** An object or array in JSON, or undefined for any other text. */
function parseDocument(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
