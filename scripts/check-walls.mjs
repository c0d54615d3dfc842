// Which file of ours imports which, types included, and what is wrong with it: a row of scripts/walls.mjs that does not allow it,
// a row that names one above it, a circle of files or of folders.
//
//   node scripts/check-walls.mjs            what is wrong; fails if anything is
//   node scripts/check-walls.mjs measure    files, circles, the largest folders, the longest functions

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { base, complaint, contracts, rowOf, walls } from './walls.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths of a folder's .ts files, relative to the repository. */
function sourceFiles(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** What a file imports of ours, re-exports and `import()` too: [{ to, line, typeOnly }]. */
function importsOf(file) {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false);
  const add = (specifier, node, typeOnly) => {
    const to = specifier.startsWith('.') ? resolve(file, specifier) : undefined;
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    found.push({ specifier, to, line: line + 1, typeOnly });
  };
  const visit = (node) => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined
    ) {
      add(node.moduleSpecifier.text, node, isTypeOnly(node));
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal.text, node, true);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      if (ts.isStringLiteralLike(node.arguments[0])) add(node.arguments[0].text, node, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isTypeOnly(node) {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const named = clause.namedBindings;
  return (
    clause.name === undefined &&
    named !== undefined &&
    ts.isNamedImports(named) &&
    named.elements.length > 0 &&
    named.elements.every((element) => element.isTypeOnly)
  );
}

function resolve(from, specifier) {
  const base = join(dirname(from), specifier).replace(/\.js$/, '');
  for (const path of [`${base}.ts`, join(base, 'index.ts'), base]) {
    if (existsSync(join(root, path)) && path.includes('.')) return path;
  }
  return undefined;
}

/** Map of file to what it imports, of the files below the folders. */
function importGraph(folders) {
  return new Map(folders.flatMap(sourceFiles).map((file) => [file, importsOf(file)]));
}

/** Groups of nodes that reach each other, by Tarjan's algorithm; each has two or more. `edges`: Map of node to iterable of nodes. */
function circles(edges) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const onStack = new Set();
  const found = [];
  const visit = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    onStack.add(node);
    for (const next of edges.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node), low.get(next)));
      } else if (onStack.has(next)) {
        low.set(node, Math.min(low.get(node), index.get(next)));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    const group = [];
    let member;
    do {
      member = stack.pop();
      onStack.delete(member);
      group.push(member);
    } while (member !== node);
    if (group.length > 1) found.push(group.sort());
  };
  for (const node of edges.keys()) if (!index.has(node)) visit(node);
  return found.sort();
}

function fileEdges(graph) {
  return new Map(
    [...graph].map(([file, imports]) => [
      file,
      new Set(imports.map(({ to }) => to).filter((to) => graph.has(to))),
    ]),
  );
}

/** Folders and what they import of each other; files of the root count for themselves, as they have rows of their own. */
function folderEdges(graph) {
  const edges = new Map();
  for (const [file, imports] of graph) {
    const from = rowOf(file);
    if (!edges.has(from)) edges.set(from, new Set());
    for (const { to } of imports) if (graph.has(to) && rowOf(to) !== from) edges.get(from).add(rowOf(to));
  }
  return edges;
}

/** Circles in the code below one folder. */
function circlesIn(folder) {
  const graph = importGraph([folder]);
  const name = (kind) => (group) => `${kind} import each other in a circle: ${group.join(', ')}`;
  return [
    ...circles(fileEdges(graph)).map(name('files')),
    ...circles(folderEdges(graph)).map(name('folders')),
  ];
}

/** What the table says that can't be: a folder without a row, a row without a folder, one that names what is not below it. */
function tableComplaints(graph) {
  const folders = new Set([...graph.keys()].map(rowOf));
  const rows = [...Object.keys(walls)];
  const complaints = [...folders]
    .filter((folder) => !(folder in walls))
    .map((folder) => `src/${folder} has no row`);
  for (const [at, row] of rows.entries()) {
    const { imports = [], types = [] } = walls[row];
    if (!folders.has(row)) complaints.push(`'${row}' is no folder of src`);
    for (const name of imports) {
      if (rows.indexOf(name) <= at)
        complaints.push(`'${row}' names '${name}', which does not stand below it`);
      if (base.includes(name)) complaints.push(`'${row}' names '${name}', which everybody may import`);
    }
    for (const name of types)
      if (!contracts.includes(name)) complaints.push(`'${name}' in '${row}' is no contract`);
  }
  return complaints;
}

function importComplaints(graph) {
  return [...graph].flatMap(([from, imports]) =>
    imports.flatMap(({ to, specifier, line, typeOnly }) => {
      const found = complaint({ from, to, specifier, typeOnly });
      return found === undefined ? [] : [`${from}:${line}: ${found}`];
    }),
  );
}

/** Names with their length in lines, the longest first. */
function functionsOf(file) {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const lineOf = (position) => source.getLineAndCharacterOfPosition(position).line;
  const found = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body !== undefined) {
      const name = node.name?.getText(source) ?? '(nameless)';
      found.push({ name: `${file} ${name}`, lines: lineOf(node.end) - lineOf(node.getStart(source)) + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function measure(graph) {
  const sizes = new Map();
  for (const file of graph.keys()) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1);
  const largest = (entries, count) => entries.sort(([, a], [, b]) => b - a).slice(0, count);
  const functions = [...graph.keys()].flatMap(functionsOf).map(({ name, lines }) => [name, lines]);
  console.log(`files ${graph.size}, folders ${sizes.size}`);
  for (const [kind, edges] of Object.entries({ files: fileEdges(graph), folders: folderEdges(graph) })) {
    const found = circles(edges);
    console.log(
      `circles of ${kind}: ${found.length}, over ${found.flat().length}: ${found.map((c) => c.length).join(', ')}`,
    );
  }
  for (const [folder, count] of largest([...sizes], 5)) console.log(`folder ${folder}: ${count} files`);
  for (const [name, lines] of largest(functions, 5)) console.log(`function ${name}: ${lines} lines`);
}

const graph = importGraph(['src']);
if (process.argv[2] === 'measure') {
  measure(graph);
} else {
  const complaints = [
    ...tableComplaints(graph),
    ...importComplaints(graph),
    ...circlesIn('src'),
    ...circlesIn('test/support'),
  ];
  for (const text of complaints) console.error(text);
  if (complaints.length > 0) process.exit(1);
}
