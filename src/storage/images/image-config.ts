// Reads an image's configuration blob. It comes from outside and everything after this relies on its types; unknown
// members are kept.

import { DaemonError } from '../../errors';
import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';

type Members = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const isFlag: Check = (value) => typeof value === 'boolean';
const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isMapOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);
const isSet = isMapOf((value) => value === null || isObject(value));
const isDigest: Check = (value) => typeof value === 'string' && /^sha256:[a-f0-9]{64}$/.test(value);

const healthcheckMembers: Record<string, Check> = {
  Test: isListOf(isText),
  Interval: isNumber,
  Timeout: isNumber,
  StartPeriod: isNumber,
  Retries: isNumber,
};
const runMembers: Record<string, Check> = {
  User: isText,
  ExposedPorts: isSet,
  Env: isListOf(isText),
  Entrypoint: isListOf(isText),
  Cmd: isListOf(isText),
  Volumes: isSet,
  WorkingDir: isText,
  Labels: isMapOf(isText),
  StopSignal: isText,
  StopTimeout: isNumber,
  Healthcheck: (value) => isObject(value) && wrongMember(value, healthcheckMembers) === undefined,
  OnBuild: isListOf(isText),
  Shell: isListOf(isText),
  ArgsEscaped: isFlag,
  Hostname: isText,
  Domainname: isText,
};
const historyMembers: Record<string, Check> = {
  created: isText,
  created_by: isText,
  author: isText,
  comment: isText,
  empty_layer: isFlag,
};
const imageMembers: Record<string, Check> = {
  architecture: isText,
  os: isText,
  variant: isText,
  'os.version': isText,
  created: isText,
  author: isText,
  comment: isText,
  docker_version: isText,
  container: isText,
  history: isListOf((item) => isObject(item) && wrongMember(item, historyMembers) === undefined),
};

/** Throws Internal for what is no configuration of an image. */
export function parseConfig(text: string): ImageConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DaemonError('Internal', 'invalid image configuration: not JSON', { cause: error });
  }
  if (!isObject(value)) throw invalid('not an object');
  const wrong = wrongMember(value, imageMembers);
  if (wrong !== undefined) throw invalid(wrong);
  const { rootfs } = value;
  const diffIds = isObject(rootfs) ? (rootfs['diff_ids'] ?? []) : [];
  if (!isListOf(isDigest)(diffIds)) throw invalid('rootfs.diff_ids');
  return {
    ...(value as unknown as ImageConfig), // checked member by member
    // As Docker: nothing is linux.
    os: textOf(value['os'], 'linux'),
    architecture: textOf(value['architecture'], ''),
    ...runConfigIn(value, 'config'),
    ...runConfigIn(value, 'container_config'),
    rootfs: { type: 'layers', diff_ids: diffIds as string[] },
  };
}

function runConfigIn(value: Members, name: string): Partial<Record<string, ImageRunConfig | null>> {
  const config = value[name];
  if (config === undefined) return {};
  if (config === null) return { [name]: null };
  if (!isObject(config)) throw invalid(name);
  const lists = Object.entries(config).map(([key, member]) => [
    key,
    // Docker takes a single word for a list of one.
    ['Cmd', 'Entrypoint', 'Shell'].includes(key) && typeof member === 'string' ? [member] : member,
  ]);
  const whole = Object.fromEntries(lists) as Members;
  const wrong = wrongMember(whole, runMembers);
  if (wrong !== undefined) throw invalid(`${name}.${wrong}`);
  return { [name]: whole };
}

/** The name of the first member that is there and of a wrong type; null stands for nothing. */
function wrongMember(value: Members, members: Record<string, Check>): string | undefined {
  return Object.keys(members).find((name) => {
    const member = value[name];
    return member !== undefined && member !== null && members[name]?.(member) !== true;
  });
}

function textOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

function invalid(what: string): DaemonError {
  return new DaemonError('Internal', `invalid image configuration: ${what}`);
}
