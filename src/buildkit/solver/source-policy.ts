// Source policies: a client says which sources its build may use, and what is to be used instead of others.
//
// Patterns are a client's, so they are matched in time that grows with the text alone.

import { errorMessage, isDaemonError } from '../../errors';
import { goQuote } from '../../go/quote';
import { goRegexp, type GoRegexp } from '../../go/regexp';
import { fullString, parseReference } from '../../registry/reference';
import { BuildError, withDetails } from '../contract/errors';
import type { Definition, SourceOp, SourcePolicy } from '../contract/llb';
import { digestOf, sourcesOf } from '../llb/graph';
import { Op } from '../messages/ops';
import { attributeMatch, matchType, policyAction } from '../messages/source-policy';

type Rule = SourcePolicy['rules'][number];
type Selector = NonNullable<Rule['selector']>;

/** A source may be converted to one that is converted again. */
const maxConversions = 20;
const imageScheme = 'docker-image://';

/** Throws InvalidArgument or Unimplemented for rules that can't be followed. */
export function checkPolicy({ rules }: SourcePolicy): void {
  for (const { action, selector, updates } of rules) {
    if (selector === undefined) throw invalid('invalid nil selector in policy');
    const { match_type: type, constraints, identifier } = selector;
    if (!Object.values<number>(policyAction).includes(action))
      throw invalid(`unknown type: policy action ${action}`);
    if (!Object.values<number>(matchType).includes(type)) throw invalid(`unknown match type: ${type}`);
    const conditions = constraints.map(({ condition }) => condition);
    const unknown = conditions.find((each) => !Object.values<number>(attributeMatch).includes(each));
    if (unknown !== undefined) throw invalid(`unknown attr condition: ${unknown}`);
    if (type === matchType.regex) compiled(identifier);
    for (const { condition, value } of constraints) if (condition === attributeMatch.matches) compiled(value);
    if (type === matchType.regex && action === policyAction.convert)
      throw new BuildError('Unimplemented', 'sources are converted by WILDCARD or EXACT, not by REGEX');
    if (type === matchType.wildcard && identifier.includes('**')) throw invalid('invalid wildcard: "**"');
    if (action === policyAction.convert && updates === undefined)
      throw invalid('missing destination for convert rule');
  }
}

/** The source that is to be used. Throws Unknown where none may be. */
export function sourceByPolicy(policies: readonly SourcePolicy[], given: SourceOp): SourceOp {
  if (policies.length === 0) return given;
  let source = normalized(given);
  for (let i = 0; i <= maxConversions; i += 1) {
    const converted = policies.reduce<SourceOp | undefined>(
      (found, policy) => found ?? converts(policy, source),
      undefined,
    );
    if (converted === undefined) return source;
    source = normalized(converted);
  }
  throw new BuildError('Unknown', 'too many mutations on a single source: too many operations');
}

/** A graph whose sources are those that may be used. Throws Unknown, with the vertex that may not be. */
export function graphByPolicy(policies: readonly SourcePolicy[], definition: Definition): Definition {
  if (policies.length === 0) return definition;
  /** New digests by those that were. */
  const changed = new Map<string, string>();
  const def = definition.def.map((bytes) => {
    const digest = digestOf(bytes);
    const op = Op.decode(bytes);
    const inputs = op.inputs.map((input) => ({
      ...input,
      digest: changed.get(input.digest) ?? input.digest,
    }));
    const what = op.op?.kind === 'source' ? allowed(policies, op.op.value, definition, digest) : undefined;
    const isSame = what === undefined && inputs.every((input, i) => input.digest === op.inputs[i]?.digest);
    if (isSame) return bytes;
    const encoded = Op.encode({
      ...op,
      inputs,
      ...(what === undefined ? {} : { op: { kind: 'source', value: what } }),
    });
    changed.set(digest, digestOf(encoded));
    return encoded;
  });
  if (changed.size === 0) return definition;
  const renamed = <T>(map: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...map].map(([digest, value]) => [changed.get(digest) ?? digest, value]));
  const { metadata, Source: source } = definition;
  return {
    def,
    metadata: renamed(metadata),
    Source: source === undefined ? undefined : { ...source, locations: renamed(source.locations) },
  };
}

/** Undefined where it stays as it is. */
function allowed(
  policies: readonly SourcePolicy[],
  source: SourceOp,
  definition: Definition,
  digest: string,
): SourceOp | undefined {
  try {
    const found = sourceByPolicy(policies, source);
    return isSameSource(found, normalized(source)) ? undefined : found;
  } catch (error) {
    throw withDetails(error, [{ kind: 'vertex', digest }, ...sourcesOf(definition, digest)]);
  }
}

/** Undefined where nothing is changed. Of rules that allow and deny the last one counts. */
function converts({ rules }: SourcePolicy, source: SourceOp): SourceOp | undefined {
  let isDenied = false;
  for (const rule of rules) {
    const { selector, action } = rule;
    const stars = selector === undefined ? undefined : matched(selector, source);
    if (selector === undefined || stars === undefined) continue;
    if (action === policyAction.convert) {
      const converted = convertedBy(rule, selector, stars, source);
      if (!isSameSource(converted, source)) return converted;
    } else isDenied = action === policyAction.deny;
  }
  if (!isDenied) return undefined;
  throw new BuildError(
    'Unknown',
    `source ${goQuote(source.identifier)} denied by policy: source denied by policy`,
  );
}

function convertedBy(
  { updates }: Rule,
  selector: Selector,
  stars: readonly string[],
  { identifier, attrs }: SourceOp,
): SourceOp {
  const wanted =
    updates?.identifier === undefined || updates.identifier === '' ? selector.identifier : updates.identifier;
  const isPattern = selector.match_type === matchType.wildcard;
  const made = isPattern ? expanded(wanted, [identifier, ...stars]) : wanted;
  return {
    identifier: made === '' ? identifier : made,
    attrs: new Map([...attrs, ...(updates?.attrs ?? [])]),
  };
}

/** What the stars of its pattern stand for; undefined: it is not meant. */
function matched(
  { identifier, match_type: type, constraints }: Selector,
  source: SourceOp,
): string[] | undefined {
  const holds = constraints.every(({ key, value, condition }) => {
    const attribute = source.attrs.get(key) ?? '';
    if (condition === attributeMatch.matches) return compiled(value)(attribute);
    const isEqual = attribute === value;
    return condition === attributeMatch.equal ? isEqual : !isEqual;
  });
  if (!holds) return undefined;
  if (type === matchType.regex) return compiled(identifier)(source.identifier) ? [] : undefined;
  if (type === matchType.exact) return identifier === source.identifier ? [] : undefined;
  return starsOf(identifier, source.identifier) ?? (identifier === source.identifier ? [] : undefined);
}

/** Each star has as much as it can, the first one first. */
function starsOf(pattern: string, text: string): string[] | undefined {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === first ? [] : undefined;
  if (!text.startsWith(first) || !text.endsWith(last)) return undefined;
  const stars: string[] = [];
  let end = text.length - last.length;
  // from the end: where a piece comes last, the stars before it have most
  for (const piece of rest.reverse()) {
    const at = text.lastIndexOf(piece, end - piece.length);
    if (at < first.length || at + piece.length > end) return undefined;
    stars.unshift(text.slice(at + piece.length, end));
    end = at;
  }
  if (end < first.length) return undefined;
  return [text.slice(first.length, end), ...stars];
}

/** `$1` and `${1}`, as Go's regexp expands them; a name that there is none of is nothing. */
function expanded(format: string, parts: readonly string[]): string {
  return format.replaceAll(
    /\$(?:(\$)|\{(\w+)\}|(\w+))/g,
    (_, dollar?: string, braced?: string, plain?: string) =>
      dollar === undefined ? (parts[Number(braced ?? plain)] ?? '') : '$',
  );
}

function isSameSource(a: SourceOp, b: SourceOp): boolean {
  const { attrs } = b;
  const hasSame =
    a.attrs.size === attrs.size && [...a.attrs].every(([key, value]) => attrs.get(key) === value);
  return a.identifier === b.identifier && hasSame;
}

/** Images by their whole names: rules are written for these. */
function normalized(source: SourceOp): SourceOp {
  const { identifier, attrs } = source;
  if (!identifier.startsWith(imageScheme)) return source;
  try {
    const reference = parseReference(identifier.slice(imageScheme.length));
    const isBare = reference.tag === undefined && reference.digest === undefined;
    const whole = fullString(isBare ? { ...reference, tag: 'latest' } : reference);
    return { identifier: `${imageScheme}${whole}`, attrs };
  } catch (error) {
    if (isDaemonError(error)) return source; // the id of an image, or refused as no name by its source
    throw error;
  }
}

/** Throws InvalidArgument for what is none. */
function compiled(pattern: string): GoRegexp {
  try {
    return goRegexp(pattern);
  } catch (error) {
    throw invalid(errorMessage(error));
  }
}

function invalid(reason: string): BuildError {
  return new BuildError('InvalidArgument', reason);
}
