// Checks JSON against the declared wire types of the API (src/docker/types.ts), read by the TypeScript compiler: a
// member that is missing, misspelt or of another type is named by its path.

import { join } from 'node:path';
import ts from 'typescript';
import { projectDir } from '../process/project-dir';

const typesFile = join(projectDir, 'src', 'docker', 'types.ts');
/** Generated from Docker's swagger. */
const swaggerFile = join(projectDir, 'node_modules', 'docker-types', 'generated', '1.41', 'index.ts');

let checker: ts.TypeChecker | undefined;
const declared = new Map<string, ts.Type>();
const inSwagger = new Map<string, ts.Type>();

/** What is wrong with `value` as a `typeName` (or `typeName[]`); nothing if it is one. */
export function wireTypeErrors(typeName: string, value: unknown): string[] {
  const isList = typeName.endsWith('[]');
  const type = typeNamed(isList ? typeName.slice(0, -2) : typeName);
  const errors: string[] = [];
  if (!isList) check(value, type, typeName, errors);
  else if (!Array.isArray(value)) errors.push(`${typeName}: no list`);
  else value.forEach((item, index) => check(item, type, `${typeName.slice(0, -2)}[${index}]`, errors));
  return errors;
}

/** Members of declared types that Docker's swagger does not have in its type of the same name: `Type.Member`. */
export function membersNotInSwagger(): string[] {
  load();
  return [...declared].flatMap(([name, type]) => {
    const theirs = inSwagger.get(name);
    if (theirs === undefined) return [];
    const known = new Set(
      checkerOf()
        .getPropertiesOfType(theirs)
        .map((property) => property.name),
    );
    return type
      .getProperties()
      .filter((property) => !known.has(property.name))
      .map((property) => `${name}.${property.name}`);
  });
}

function typeNamed(name: string): ts.Type {
  load();
  const type = declared.get(name);
  if (type === undefined) throw new Error(`no wire type ${name}`);
  return type;
}

function load(): void {
  if (checker !== undefined) return;
  const program = ts.createProgram([typesFile, swaggerFile], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  });
  checker = program.getTypeChecker();
  for (const [file, types] of [
    [typesFile, declared],
    [swaggerFile, inSwagger],
  ] as const) {
    const source = program.getSourceFile(file);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`no module ${file}`);
    for (const exported of checker.getExportsOfModule(module)) {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      types.set(exported.name, checker.getDeclaredTypeOfSymbol(symbol));
    }
  }
}

function check(value: unknown, type: ts.Type, path: string, errors: string[]): void {
  const known = checkerOf();
  if (type.isUnion()) {
    const tried = type.types.map((member) => {
      const found: string[] = [];
      check(value, member, path, found);
      return found;
    });
    // The member that fits best says what is wrong.
    const best = tried.reduce((least, found) => (found.length < least.length ? found : least));
    const isShape = typeof value === 'object' && value !== null;
    if (best.length > 0) errors.push(...(isShape ? (tried.find((found) => found.length > 1) ?? best) : best));
    return;
  }
  const expected = known.typeToString(type);
  const wrong = (): void => void errors.push(`${path}: ${describe(value)} is no ${expected}`);
  if ((type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) !== 0) return;
  if (type.isLiteral()) {
    if (value !== type.value) wrong();
  } else if ((type.flags & ts.TypeFlags.BooleanLiteral) !== 0) {
    if (String(value) !== expected) wrong();
  } else if ((type.flags & ts.TypeFlags.StringLike) !== 0) {
    if (typeof value !== 'string') wrong();
  } else if ((type.flags & (ts.TypeFlags.NumberLike | ts.TypeFlags.BigIntLike)) !== 0) {
    if (typeof value !== 'number') wrong();
  } else if ((type.flags & ts.TypeFlags.Null) !== 0) {
    if (value !== null) wrong();
  } else if ((type.flags & ts.TypeFlags.Undefined) !== 0) {
    if (value !== undefined) wrong();
  } else if (typeof value !== 'object' || value === null) {
    wrong();
  } else {
    checkObject(value, type, path, errors);
  }
}

function checkObject(value: object, type: ts.Type, path: string, errors: string[]): void {
  const known = checkerOf();
  if (known.isTupleType(type) || known.isArrayType(type)) {
    const items = known.getTypeArguments(type as ts.TypeReference);
    if (!Array.isArray(value)) errors.push(`${path}: no list`);
    else
      value.forEach((item, index) => {
        const itemType = items[Math.min(index, items.length - 1)];
        if (itemType !== undefined) check(item, itemType, `${path}[${index}]`, errors);
      });
    return;
  }
  if (Array.isArray(value)) {
    errors.push(`${path}: a list is no ${known.typeToString(type)}`);
    return;
  }
  const names = new Set<string>();
  for (const property of type.getProperties()) {
    names.add(property.name);
    const item = (value as Record<string, unknown>)[property.name];
    const isOptional = (property.flags & ts.SymbolFlags.Optional) !== 0;
    if (item === undefined) {
      if (!isOptional) errors.push(`${path}.${property.name}: missing`);
      continue;
    }
    check(item, known.getTypeOfSymbol(property), `${path}.${property.name}`, errors);
  }
  const index = type.getStringIndexType();
  for (const [name, item] of Object.entries(value)) {
    if (names.has(name)) continue;
    if (index !== undefined) check(item, index, `${path}.${name}`, errors);
    else if (type.getProperties().length > 0) errors.push(`${path}.${name}: not declared`);
  }
}

function checkerOf(): ts.TypeChecker {
  if (checker === undefined) throw new Error('no types are loaded');
  return checker;
}

function describe(value: unknown): string {
  return (value === undefined ? 'undefined' : JSON.stringify(value)).slice(0, 60);
}
