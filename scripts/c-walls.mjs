// The walls of our C programs: folders only reach downwards, by what they include and by what they call, and no files include
// or call each other in a circle. Reads sources, and the symbols of their objects (nm), which are to be up to date.
//
//   node scripts/c-walls.mjs                            all programs of the table
//   node scripts/c-walls.mjs SOURCES OBJECTS FLOOR…     another one, its folders bottom up

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Folders of each program, bottom up; what lies beside them (main.c) stands on top. Each may use what stands before it. `borrows`: of
 * another program it uses these folders and units, as if they stood below.
 */
const programs = [
  {
    sources: 'guest/init',
    objects: 'build/guest/objects',
    floors: [
      'core',
      'wire',
      'paths',
      'limits',
      'process',
      'machine',
      'archives',
      'shares',
      'pod',
      'rootfs',
      'container',
      'jobs',
    ],
  },
  {
    sources: 'guest/supervisor',
    objects: 'build/guest/supervisor',
    borrows: {
      sources: 'guest/init',
      units: ['core', 'paths', 'limits', 'archives', 'process/launch', 'process/user'],
    },
    // prettier-ignore
    floors: [
      'records',
      'names',
      'sessions',
      'sockets',
      'commands',
      'tasks',
    ],
  },
  {
    sources: 'native/fs-server',
    objects: 'build/native/fs-server.d',
    // prettier-ignore
    floors: [
      'base',
      'wire',
      'table',
      'host',
      'operations',
      'control',
    ],
  },
];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const table = path.relative(root, fileURLToPath(import.meta.url));
const tableLines = fs.readFileSync(path.join(root, table), 'utf8').split('\n');

/** Where the table says so: `wire (scripts/c-walls.mjs:19)`. */
function row(sources, folder) {
  const from = tableLines.findIndex((line) => line.includes(`sources: '${sources}'`));
  const at = tableLines.findIndex((line, index) => index > from && line.trim() === `'${folder}',`);
  return from < 0 || at < 0 ? folder : `${folder} (${table}:${at + 1})`;
}

/** Sources and headers, by their paths from the program's folder. */
const filesOf = (sources) =>
  fs
    .readdirSync(sources, { recursive: true })
    .filter((file) => /\.[ch]$/.test(file))
    .sort();

/** A .c and its header are one: `wire/port`. */
const unitOf = (file) => file.replace(/\.[a-z]+$/, '');

function includesOf(sources, file) {
  const lines = fs.readFileSync(path.join(sources, file), 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const target = /^\s*#\s*include\s*"([^"]+)"/.exec(line)?.[1];
    return target === undefined ? [] : [{ target, place: `${path.join(sources, file)}:${index + 1}` }];
  });
}

/** Global symbols of an object: those it has, and those it wants of others. */
function symbolsOf(object) {
  const lines = execFileSync('nm', ['-P', '-g', object], { encoding: 'utf8' }).trim().split('\n');
  const symbols = lines.filter((line) => line !== '').map((line) => line.split(' '));
  const names = (wanted) => symbols.filter(([, type]) => (type === 'U') === wanted).map(([name]) => name);
  return { defined: names(false), wanted: names(true) };
}

/** Whether a header is one of those that are borrowed from another program. */
function isBorrowed(target, borrows) {
  if (borrows === undefined || !fs.existsSync(path.join(borrows.sources, target))) return false;
  return borrows.units.includes(path.dirname(target)) || borrows.units.includes(unitOf(target));
}

/** What each unit uses of others, and how: [{ from, to, text }]. */
function usesOf({ sources, objects, borrows }, complaints) {
  const files = filesOf(sources);
  const known = new Set(files);
  const uses = [];
  for (const file of files)
    for (const { target, place } of includesOf(sources, file)) {
      if (known.has(target))
        uses.push({ from: unitOf(file), to: unitOf(target), text: `${place} includes ${target}` });
      else if (!isBorrowed(target, borrows) && (target.startsWith('.') || !fs.existsSync(target)))
        complaints.push(`${place} includes ${target}: headers are named from ${sources} or from the top`);
    }
  const units = files.filter((file) => file.endsWith('.c')).map(unitOf);
  const symbols = new Map(units.map((unit) => [unit, symbolsOf(path.join(objects, `${unit}.o`))]));
  const owners = new Map([...symbols].flatMap(([unit, { defined }]) => defined.map((name) => [name, unit])));
  for (const [unit, { wanted }] of symbols)
    for (const name of wanted)
      if (owners.has(name))
        uses.push({
          from: unit,
          to: owners.get(name),
          text: `${path.join(sources, unit)}.c uses ${name} of ${owners.get(name)}.c`,
        });
  return uses.filter(({ from, to }) => from !== to);
}

/** The folder a unit stands in, and its number from below. */
function floorOf(floors, unit) {
  const folder = path.dirname(unit);
  return { folder, floor: folder === '.' ? floors.length : floors.indexOf(folder) };
}

function upwards(sources, floors, uses) {
  return uses.flatMap(({ from, to, text }) => {
    const [user, used] = [floorOf(floors, from), floorOf(floors, to)];
    if (used.floor <= user.floor) return [];
    const above = used.folder === '.' ? 'the top' : row(sources, used.folder);
    return [`${text}, but ${above} stands above ${row(sources, user.folder)}`];
  });
}

/** The first circle that a walk over the uses finds, as a list of units; undefined if there is none. */
function circleOf(uses) {
  const next = new Map();
  for (const { from, to } of uses) next.set(from, (next.get(from) ?? new Set()).add(to));
  const done = new Set();
  const walk = (unit, trail) => {
    if (trail.includes(unit)) return trail.slice(trail.indexOf(unit));
    if (done.has(unit)) return undefined;
    for (const to of next.get(unit) ?? []) {
      const circle = walk(to, [...trail, unit]);
      if (circle !== undefined) return circle;
    }
    done.add(unit);
    return undefined;
  };
  for (const unit of next.keys()) {
    const circle = walk(unit, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function circles(uses) {
  const circle = circleOf(uses);
  if (circle === undefined) return [];
  const steps = circle.map((from, index) => {
    const to = circle[(index + 1) % circle.length];
    return `  ${uses.find((use) => use.from === from && use.to === to).text}`;
  });
  return [['a circle of files:', ...steps].join('\n')];
}

function strangers(sources, floors) {
  const folders = new Set(filesOf(sources).map((file) => path.dirname(file)));
  return [...folders]
    .filter((folder) => folder !== '.' && !floors.includes(folder))
    .map((folder) => `${path.join(sources, folder)} has no row in ${table}`);
}

function complaintsOf(program) {
  const { sources, floors } = program;
  const complaints = strangers(sources, floors);
  if (complaints.length > 0) return complaints;
  const uses = usesOf(program, complaints);
  return [...complaints, ...upwards(sources, floors, uses), ...circles(uses)];
}

const [sources, objects, ...floors] = process.argv.slice(2);
if (sources === undefined) process.chdir(root);
const complaints = (sources === undefined ? programs : [{ sources, objects, floors }]).flatMap(complaintsOf);
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;
