// `RUN --mount=…` (Dockerfile reference): its keys and values. They are read twice: as they stand, and with variables put in.

import { parseSizeText } from './sizes';
import { parseGoBool } from '../../../go/bool';
import { goQuote } from '../../../go/quote';
import { DockerfileProblem } from '../text/problem';
import { csvFields } from './csv';
import { didYouMean } from './suggestions';

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';
export type CacheSharing = 'shared' | 'private' | 'locked';

export interface MountText {
  /** The flag's value. */
  readonly text: string;
  /** Of a bind or cache mount: a stage, an image or a named context; '' for none. */
  readonly from: string;
}

export interface MountOptions {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  /** '' where none is given. */
  readonly id: string;
  readonly sharing: CacheSharing;
  readonly isRequired: boolean;
  readonly sizeBytes: number;
  /** Of secrets: the variable that has it. '' for none. */
  readonly env: string;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

const types: readonly string[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const sharings: readonly string[] = ['shared', 'private', 'locked'];
const keys = [
  'type',
  'from',
  'source',
  'target',
  'readonly',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'src',
  'dst',
  'destination',
  'ro',
  'rw',
  'readwrite',
  'env',
];

/** For where it leads; values with variables in them are not looked at. Throws DockerfileProblem. */
export function readMountText(text: string): MountText {
  const options = readMount(text, undefined);
  return { text, from: options.from };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Undefined `expand`: nothing is expanded, and what holds a variable isn't checked. Throws DockerfileProblem in BuildKit's words. */
export function readMount(text: string, expand: ((word: string) => string) | undefined): MountOptions {
  const options: Writable<MountOptions> = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readonly: true,
    id: '',
    sharing: 'shared',
    isRequired: false,
    sizeBytes: 0,
    env: '',
    mode: undefined,
    uid: undefined,
    gid: undefined,
  };
  let mode: boolean | undefined;
  for (const field of csvFields(text)) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const given = equals < 0 ? undefined : field.slice(equals + 1);
    if (given === undefined && ['readonly', 'ro'].includes(key)) {
      mode = true;
      continue;
    }
    if (given === undefined && ['readwrite', 'rw'].includes(key)) {
      mode = false;
      continue;
    }
    if (given === undefined && key === 'required') {
      options.isRequired = true;
      continue;
    }
    if (given === undefined) throw new DockerfileProblem(`invalid field '${field}' must be a key=value pair`);
    const hasVariable = given.includes('$');
    if (hasVariable && key === 'from')
      throw new DockerfileProblem(`'${key}' doesn't support variable expansion, define alias stage instead`);
    const value = expand?.(given) ?? given;
    const isOpen = expand === undefined && hasVariable;
    const wrong = (): DockerfileProblem => new DockerfileProblem(`invalid value for ${key}: ${value}`);
    switch (key) {
      case 'type':
        if (isOpen) break;
        if (!types.includes(value.toLowerCase())) {
          throw new DockerfileProblem(`unsupported mount type ${goQuote(value)}${didYouMean(value, types)}`);
        }
        options.type = value.toLowerCase() as MountType; // one of the list
        break;
      case 'from':
        options.from = value;
        break;
      case 'source':
      case 'src':
        options.source = value;
        break;
      case 'target':
      case 'dst':
      case 'destination':
        options.target = value;
        break;
      case 'readonly':
      case 'ro':
        if (!isOpen) mode = booleanOf(value, wrong);
        break;
      case 'readwrite':
      case 'rw':
        if (!isOpen) mode = !booleanOf(value, wrong);
        break;
      case 'id':
        options.id = value;
        break;
      case 'sharing':
        if (isOpen) break;
        if (!sharings.includes(value.toLowerCase())) {
          throw new DockerfileProblem(
            `unsupported sharing value ${goQuote(value)}${didYouMean(value, sharings)}`,
          );
        }
        options.sharing = value.toLowerCase() as CacheSharing; // one of the list
        break;
      case 'required':
        if (!isOpen) options.isRequired = booleanOf(value, wrong);
        break;
      case 'size':
        if (!isOpen) options.sizeBytes = sizeOf(value, wrong);
        break;
      case 'mode':
        if (!isOpen) options.mode = numberOf(value, 8, key);
        break;
      case 'uid':
        if (!isOpen) options.uid = numberOf(value, 10, key);
        break;
      case 'gid':
        if (!isOpen) options.gid = numberOf(value, 10, key);
        break;
      case 'env':
        options.env = value;
        break;
      default:
        throw new DockerfileProblem(`unexpected key '${key}' in '${field}'${didYouMean(key, keys)}`);
    }
  }
  options.readonly = mode ?? options.type === 'bind';
  checkCombination(options, mode);
  return options;
}

function checkCombination(options: MountOptions, mode: boolean | undefined): void {
  const { type, target, source, from, id, env, sizeBytes, readonly } = options;
  const isClients = type === 'secret' || type === 'ssh';
  if (!isClients && ['', '/'].includes(target)) throw new DockerfileProblem('invalid mount target "/"');
  if (env !== '' && type !== 'secret')
    throw new DockerfileProblem(`unexpected key 'env' for mount type '${type}'`);
  if (type === 'secret') {
    if (from !== '') throw new DockerfileProblem('secret mount should not have a from');
    if (sizeBytes !== 0) throw new DockerfileProblem("unexpected key 'size' for mount type 'secret'");
    if (mode === false && !readonly) throw new DockerfileProblem('secret mount should not be writable');
    if (id === '' && source === '' && target === '' && env === '')
      throw new DockerfileProblem('invalid secret mount. one of source, target required');
  }
  if (type === 'tmpfs' && source !== '') throw new DockerfileProblem('tmpfs mount should not have a source');
  if (type === 'tmpfs' && from !== '') throw new DockerfileProblem('tmpfs mount should not have a from');
  if (type === 'ssh' && from !== '') throw new DockerfileProblem('ssh mount should not have a from');
}

function booleanOf(value: string, wrong: () => DockerfileProblem): boolean {
  const parsed = parseGoBool(value);
  if (parsed === undefined) throw wrong();
  return parsed;
}

function sizeOf(value: string, wrong: () => DockerfileProblem): number {
  const size = parseSizeText(value);
  if (size === undefined) throw wrong();
  return size;
}

function numberOf(value: string, base: 8 | 10, key: string): number {
  const digits = base === 8 ? /^0?o?[0-7]{1,10}$/ : /^\d{1,10}$/;
  const number = Number.parseInt(value.replace(/^0o/, ''), base);
  if (!digits.test(value) || number > 0xffff_ffff)
    throw new DockerfileProblem(`invalid value ${value} for ${key}`);
  return number;
}
