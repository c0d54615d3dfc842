// The attributes that json-file's options labels, env and tag put into every record, and `--details` shows.

import { DaemonError } from '../../errors';
import type { ContainerRecord } from '../containers/container-record';
import { goRegexp } from '../../go/regexp';

/** What a tag or an attribute may speak of. */
export interface LogSubject {
  id: string;
  /** RFC 3339. */
  createdAt: string;
  name: string;
  imageId: string;
  imageName: string;
  path: string;
  args: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** `NAME=value`. */
  env: readonly string[];
}

export function logSubject(record: ContainerRecord): LogSubject {
  return {
    id: record.id,
    createdAt: record.createdAt,
    name: record.name,
    imageId: record.imageId,
    imageName: record.config.Image,
    path: record.path,
    args: record.args,
    labels: record.config.Labels ?? {},
    env: record.config.Env ?? [],
  };
}

const daemonName = 'caisson';

const tagFields: Record<string, (subject: LogSubject) => string> = {
  ID: (subject) => subject.id.slice(0, 12),
  FullID: (subject) => subject.id,
  Name: (subject) => subject.name,
  ImageID: (subject) => subject.imageId.slice(0, 12),
  ImageFullID: (subject) => subject.imageId,
  ImageName: (subject) => subject.imageName,
  DaemonName: () => daemonName,
  Command: (subject) => [subject.path, ...subject.args].join(' '),
};

/** Throws InvalidParameter when `template` is not one this daemon can expand: text and single fields, `{{.Name}}`. */
export function checkTagTemplate(template: string): void {
  const rest = template.replace(/\{\{-?\s*\.(\w+)\s*-?\}\}/g, (_, field: string) => {
    if (tagFields[field] !== undefined) return '';
    throw new DaemonError(
      'InvalidParameter',
      `template: log-tag:1:2: executing "log-tag" at <.${field}>: can't evaluate field ${field} in type *logger.Info`,
    );
  });
  if (!rest.includes('{{')) return;
  const reason = rest.includes('}}') ? 'only single fields are supported' : 'unclosed action';
  throw new DaemonError('InvalidParameter', `template: log-tag:1: ${reason}`);
}

/** The tag of this container. Call checkTagTemplate first. */
export function expandTag(template: string, subject: LogSubject): string {
  return template.replace(
    /\{\{-?\s*\.(\w+)\s*-?\}\}/g,
    (whole, field: string) => tagFields[field]?.(subject) ?? whole,
  );
}

function commaList(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',');
}

/** The attributes of a container's log; undefined when its options ask for none. Call checkTagTemplate first. */
export function logAttributes(
  options: Readonly<Record<string, string>>,
  subject: LogSubject,
): Record<string, string> | undefined {
  const attributes: Record<string, string> = {};
  for (const name of commaList(options['labels'])) {
    const value = subject.labels[name];
    if (value !== undefined) attributes[name] = value;
  }
  if (options['labels-regex'] !== undefined) {
    const matches = goRegexp(options['labels-regex']);
    for (const [name, value] of Object.entries(subject.labels)) {
      if (matches(name)) attributes[name] = value;
    }
  }
  const environment = new Map(subject.env.map(splitVariable));
  for (const name of commaList(options['env'])) {
    const value = environment.get(name);
    if (value !== undefined) attributes[name] = value;
  }
  if (options['env-regex'] !== undefined) {
    const matches = goRegexp(options['env-regex']);
    for (const [name, value] of environment) if (matches(name)) attributes[name] = value;
  }
  const tag = options['tag'] ?? '';
  if (tag !== '') attributes['tag'] = expandTag(tag, subject);
  return Object.keys(attributes).length === 0 ? undefined : attributes;
}

function splitVariable(variable: string): [string, string] {
  const at = variable.indexOf('=');
  return at < 0 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)];
}

/** What `--details` puts in front of a line, without the space: `k=v,k2=v2`, sorted and escaped as a query. */
export function formatAttributes(attributes: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`)
    .join(',');
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%20/g, '+');
}
