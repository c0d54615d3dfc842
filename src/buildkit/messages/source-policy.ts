// Rules of a client on what sources its build may use (moby.buildkit.v1.sourcepolicy).

import { int32, int64, map, message, nested, repeated, string, type Value } from '../wire/codec';

export const policyAction = { allow: 0, deny: 1, convert: 2 } as const;
export const matchType = { wildcard: 0, exact: 1, regex: 2 } as const;
export const attributeMatch = { equal: 0, notEqual: 1, matches: 2 } as const;

const Update = message({ identifier: string(1), attrs: map(string(2)) });
const AttrConstraint = message({ key: string(1), value: string(2), condition: int32(3) });
const Selector = message({
  identifier: string(1),
  match_type: int32(2),
  constraints: repeated(nested(3, AttrConstraint)),
});
const Rule = message({ action: int32(1), selector: nested(2, Selector), updates: nested(3, Update) });

export const SourcePolicy = message({ version: int64(1), rules: repeated(nested(2, Rule)) });
export type SourcePolicy = Value<typeof SourcePolicy>;
