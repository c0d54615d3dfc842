// Which node modules the program needs when it runs, and which of their files.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Needed to install or build them, or for what we never ask of them. */
const leftOut = new Set(['prebuild-install', 'cpu-features', 'nan', 'node-gyp', 'node-addon-api']);
/** Of another runtime than Node.js. */
const foreign = /^bare-/;
/** Of what is left, parts that no program loads. */
const uselessFile =
  /\.(map|md|markdown|ts|mts|cts|tsx|flow|html|c|cc|cpp|h|hpp|gyp|gypi)$|^(\..*|Makefile|tsconfig.*|.*\.tsbuildinfo|appveyor\.yml|yarn\.lock|package-lock\.json)$/i;
const kept = /^(licen[cs]e|notice|copying)/i;
const uselessDirectory =
  /^(test|tests|__tests__|example|examples|docs|bench|benchmark|benchmarks|\.github|coverage|man)$/;

function manifestOf(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
}

/** Where `require(name)` of a file in `from` finds it. */
function resolvePackage(root, from, name) {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (directory === root) return undefined;
  }
}

/** Directories of the packages that run-time dependencies lead to, relative to `root`, sorted. Throws for one that is not installed. */
export function runtimePackages(root) {
  const found = new Map();
  const visit = (from, manifest) => {
    const optional = { ...manifest.optionalDependencies, ...optionalPeers(manifest) };
    const wanted = { ...manifest.dependencies, ...manifest.peerDependencies, ...optional };
    for (const name of Object.keys(wanted)) {
      if (leftOut.has(name) || foreign.test(name) || name.startsWith('@types/')) continue;
      const directory = resolvePackage(root, from, name);
      if (directory === undefined) {
        if (name in optional || name in (manifest.peerDependencies ?? {})) continue;
        throw new Error(`${manifest.name} needs ${name}, which is not installed: npm run setup`);
      }
      const path = relative(root, directory);
      if (found.has(path)) continue;
      const its = manifestOf(directory);
      found.set(path, its);
      visit(directory, its);
    }
  };
  visit(root, manifestOf(root));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, manifest]) => ({ path, manifest }));
}

function optionalPeers({ peerDependenciesMeta = {} }) {
  return Object.fromEntries(
    Object.entries(peerDependenciesMeta).filter(([, { optional }]) => optional === true),
  );
}

/** Files of a package, relative to it, without those that nothing loads and without modules below it. */
export function runtimeFiles(directory, name) {
  const files = [];
  const walk = (below) => {
    for (const entry of readdirSync(join(directory, below), { withFileTypes: true })) {
      const path = join(below, entry.name);
      if (entry.isDirectory()) {
        if (entry.name === 'node_modules' || (below === '' && uselessDirectory.test(entry.name))) continue;
        walk(path);
      } else if (entry.isFile() && (kept.test(entry.name) || !uselessFile.test(entry.name))) files.push(path);
    }
  };
  walk('');
  return files.filter((path) => isWanted(name, path)).sort();
}

/** What is compiled on this machine goes by itself: SQLite's binding, and nothing else. */
function isWanted(name, path) {
  if (name === 'better-sqlite3')
    return /^(lib|package\.json|licen)/i.test(path) || path === 'build/Release/better_sqlite3.node';
  if (/(^|\/)bin(\/|\.mjs$)/.test(path)) return false; // commands of theirs
  if (path.endsWith('.node')) return false;
  return !(name === 'ssh2' && /^(install\.js|util)/.test(path)) && !/(^|\/)build\/Release\//.test(path);
}
