// The kinds of values that the daemon's options have: how each is read from a flag and from the configuration file.

import { isIP } from 'node:net';
import { goBoolProblem, parseGoBool } from '../go/bool';
import { goQuote } from '../go/quote';
import { parseSubnet } from '../network/addresses/addresses';
import { parseRamSize } from '../go/size-format';

export interface Ulimit {
  Name: string;
  Hard: number;
  Soft: number;
}

export interface AddressPoolOption {
  /** CIDR. */
  base: string;
  /** Prefix length of the networks cut out of it. */
  size: number;
}

export type OptionKind =
  | 'string'
  | 'address'
  | 'boolean'
  | 'integer'
  | 'size'
  | 'list'
  | 'map'
  | 'switches'
  | 'ulimits'
  | 'address-pools';

/** What an option's value is inside: of the configuration file and of flags alike. */
export interface KindValues {
  string: string;
  address: string;
  boolean: boolean;
  integer: number;
  size: number;
  list: string[];
  map: Record<string, string>;
  switches: Record<string, boolean>;
  ulimits: Record<string, Ulimit>;
  'address-pools': AddressPoolOption[];
}
export type OptionValue = KindValues[OptionKind];

/** A value that is no value of its kind: the message is dockerd's where it has one. */
export class OptionError extends Error {}

const goTypes: Record<OptionKind, string> = {
  string: 'string',
  address: 'string',
  boolean: 'bool',
  integer: 'int',
  size: 'int64',
  list: '[]string',
  map: 'map[string]string',
  switches: 'map[string]bool',
  ulimits: 'map[string]*units.Ulimit',
  'address-pools': '[]*ipamutils.NetworkToSplit',
};

/** Adds what a flag says to what earlier ones said. Throws OptionError. */
export function readFlag(kind: OptionKind, text: string, before: unknown): OptionValue {
  switch (kind) {
    case 'string':
      return text;
    case 'address':
      requireAddress(text);
      return text;
    case 'boolean':
      return booleanOf(text);
    case 'integer':
      if (!/^-?\d{1,9}$/.test(text)) throw new OptionError('a whole number is wanted');
      return Number(text);
    case 'size':
      return sizeOf(text);
    case 'list':
      return [...((before as string[] | undefined) ?? []), text];
    case 'map':
      return { ...(before as Record<string, string> | undefined), ...pairOf(text) };
    case 'switches': {
      const [[name, value] = ['', '']] = Object.entries(pairOf(text));
      const isOn = text.includes('=') ? booleanOf(value) : true;
      return { ...(before as Record<string, boolean> | undefined), [name]: isOn };
    }
    case 'ulimits': {
      const ulimit = ulimitOf(text);
      return { ...(before as Record<string, Ulimit> | undefined), [ulimit.Name]: ulimit };
    }
    case 'address-pools':
      return [...((before as AddressPoolOption[] | undefined) ?? []), poolOf(text)];
  }
}

/** The value of a key of the configuration file. Throws OptionError in dockerd's words. */
export function readFileValue(kind: OptionKind, key: string, value: unknown): OptionValue {
  const refuse = (): never => {
    throw new OptionError(
      `json: cannot unmarshal ${jsonType(value)} into Go struct field Config.${key} of type ${goTypes[kind]}`,
    );
  };
  switch (kind) {
    case 'string':
      return typeof value === 'string' ? value : refuse();
    case 'address':
      if (typeof value !== 'string') return refuse();
      // Go's decoder of addresses, before anything is validated
      if (value !== '' && isIP(value) === 0) throw new OptionError(`invalid IP address: ${value}`);
      return value;
    case 'boolean':
      return typeof value === 'boolean' ? value : refuse();
    case 'integer':
      return Number.isInteger(value) ? (value as number) : refuse();
    case 'size':
      if (typeof value === 'string') return sizeOf(value);
      return Number.isInteger(value) ? (value as number) : refuse();
    case 'list':
      return isListOf(value, 'string') ? value : refuse();
    case 'map':
      return isObject(value) && isListOf(Object.values(value), 'string')
        ? (value as Record<string, string>)
        : refuse();
    case 'switches':
      return isObject(value) && isListOf(Object.values(value), 'boolean')
        ? (value as Record<string, boolean>)
        : refuse();
    case 'ulimits':
      return isObject(value) ? ulimitsOf(value, refuse) : refuse();
    case 'address-pools':
      return Array.isArray(value) ? value.map((pool: unknown) => filePoolOf(pool, refuse)) : refuse();
  }
}

/** As Go's `%v` prints it, for dockerd's message about conflicts. */
export function shownValue(value: OptionValue): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => (typeof item === 'string' ? item : `{${item.base} ${item.size}}`));
    return `[${items.join(' ')}]`;
  }
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value as Record<string, string | boolean | Ulimit>).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const shown = entries.map(([name, item]) =>
    typeof item !== 'object' ? `${name}:${item}` : `${item.Name}=${item.Soft}:${item.Hard}`,
  );
  return `map[${shown.join(' ')}]`;
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOf(value: unknown, type: 'string' | 'boolean'): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}

function booleanOf(text: string): boolean {
  const value = parseGoBool(text);
  if (value === undefined) throw new OptionError(goBoolProblem(text));
  return value;
}

function sizeOf(text: string): number {
  const bytes = parseRamSize(text);
  if (bytes === undefined) throw new OptionError(`invalid size: '${text}'`);
  return bytes;
}

function pairOf(text: string): Record<string, string> {
  const at = text.indexOf('=');
  return at < 0 ? { [text]: '' } : { [text.slice(0, at)]: text.slice(at + 1) };
}

const ulimitNames =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  );

/** `nofile=1024:2048`, as dockerd takes it. */
function ulimitOf(text: string): Ulimit {
  const match = /^([^=]*)=([^:]*)(?::(.*))?$/.exec(text);
  if (match === null) throw new OptionError(`invalid ulimit argument: ${text}`);
  const [, Name = '', softText = '', hardText] = match;
  if (!ulimitNames.includes(Name)) throw new OptionError(`invalid ulimit type: ${Name}`);
  const numberOf = (part: string): number => {
    if (!/^-?\d+$/.test(part))
      throw new OptionError(`strconv.ParseInt: parsing ${goQuote(part)}: invalid syntax`);
    return Number(part);
  };
  const Soft = numberOf(softText);
  const Hard = hardText === undefined ? Soft : numberOf(hardText);
  return checkedUlimit({ Name, Soft, Hard });
}

function checkedUlimit(ulimit: Ulimit): Ulimit {
  const { Soft, Hard } = ulimit;
  if (Hard !== -1 && (Soft === -1 || Soft > Hard)) {
    throw new OptionError(
      Soft === -1
        ? `ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${Hard}`
        : `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`,
    );
  }
  return ulimit;
}

function ulimitsOf(value: Record<string, unknown>, refuse: () => never): Record<string, Ulimit> {
  return Object.fromEntries(
    Object.entries(value).map(([key, given]) => {
      if (!isObject(given)) return refuse();
      const { Name = key, Hard, Soft } = given as Partial<Ulimit>;
      if (typeof Name !== 'string' || !Number.isInteger(Hard) || !Number.isInteger(Soft)) return refuse();
      if (!ulimitNames.includes(Name)) throw new OptionError(`invalid ulimit type: ${Name}`);
      return [Name, checkedUlimit({ Name, Hard: Hard ?? 0, Soft: Soft ?? 0 })];
    }),
  );
}

/** `base=10.0.0.0/8,size=24`. */
function poolOf(text: string): AddressPoolOption {
  const fields = Object.assign({}, ...text.split(',').map((part) => pairOf(part.trim()))) as Record<
    string,
    string
  >;
  const { base, size, ...others } = fields;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new OptionError(`unexpected key '${unknown}' in '${text}'`);
  return checkedPool({ base: base ?? '', size: Number(size ?? NaN) });
}

function filePoolOf(pool: unknown, refuse: () => never): AddressPoolOption {
  if (!isObject(pool)) return refuse();
  const { base, size } = pool;
  if (typeof base !== 'string' || typeof size !== 'number') return refuse();
  return checkedPool({ base, size });
}

function checkedPool({ base, size }: AddressPoolOption): AddressPoolOption {
  const subnet = parseSubnet(base);
  if (subnet?.family !== 4)
    throw new OptionError(`invalid base pool ${JSON.stringify(base)}: invalid CIDR address: ${base}`);
  if (!Number.isInteger(size) || size < subnet.prefixLength || size > 30) {
    throw new OptionError(`invalid pools size: ${size}`);
  }
  return { base, size };
}

/** Throws OptionError in dockerd's words. */
export function requireAddress(text: string): void {
  if (isIP(text) === 0) throw new OptionError(`${text} is not an ip address`);
}
