// Which declared type each operation's answer has, and the check of an answer.

import { existsSync, readFileSync } from 'node:fs';
import { wireTypeErrors } from './wire-types';

/**
 * By method and path without version, and by the first minor version that is newer; the first that fits counts. A list of
 * lines of JSON has one value a line.
 */
const answers: readonly (readonly [method: string, path: RegExp, type: string, before?: number])[] = [
  ['GET', /^\/containers\/(?!json$)[^/]+\/json$/, 'ContainerInspect119', 20],
  ['GET', /^\/containers\/(?!json$)[^/]+\/json$/, 'ContainerInspect120', 21],
  ['GET', /^\/containers\/[^/]+\/stats$/, 'OldContainerStats', 21],
  ['GET', /^\/info$/, 'SystemInfo124', 25],
  ['GET', /^\/containers\/json$/, 'ContainerSummary[]'],
  ['POST', /^\/containers\/create$/, 'ContainerCreateResponse'],
  ['POST', /^\/containers\/prune$/, 'ContainerPruneResponse'],
  ['GET', /^\/containers\/[^/]+\/json$/, 'ContainerInspect'],
  ['GET', /^\/containers\/[^/]+\/top$/, 'ContainerTopResponse'],
  ['GET', /^\/containers\/[^/]+\/stats$/, 'ContainerStats'],
  ['POST', /^\/containers\/[^/]+\/wait$/, 'ContainerWaitResponse'],
  ['POST', /^\/containers\/[^/]+\/update$/, 'ContainerUpdateResponse'],
  ['GET', /^\/exec\/[^/]+\/json$/, 'ExecInspect'],
  ['GET', /^\/images\/json$/, 'ImageSummary[]'],
  ['GET', /^\/images\/search$/, 'ImageSearchItem[]'],
  ['POST', /^\/images\/prune$/, 'ImagePruneResponse'],
  ['GET', /^\/images\/.+\/history$/, 'HistoryItem[]'],
  ['GET', /^\/images\/.+\/json$/, 'ImageInspect'],
  ['DELETE', /^\/images\/.+$/, 'ImageDeleteItem[]'],
  ['POST', /^\/images\/(create|load)$/, 'ProgressLine'],
  ['GET', /^\/distribution\/.+\/json$/, 'DistributionInspect'],
  ['GET', /^\/networks$/, 'NetworkInspect[]'],
  ['POST', /^\/networks\/create$/, 'NetworkCreateResponse'],
  ['POST', /^\/networks\/prune$/, 'NetworkPruneResponse'],
  ['GET', /^\/networks\/[^/]+$/, 'NetworkInspect'],
  ['GET', /^\/volumes$/, 'VolumeListResponse'],
  ['POST', /^\/volumes\/create$/, 'Volume'],
  ['POST', /^\/volumes\/prune$/, 'VolumePruneResponse'],
  ['GET', /^\/volumes\/[^/]+$/, 'Volume'],
  ['GET', /^\/info$/, 'SystemInfo'],
  ['GET', /^\/version$/, 'SystemVersion'],
  ['GET', /^\/system\/df$/, 'DiskUsage'],
  ['GET', /^\/events$/, 'EventMessage'],
  ['POST', /^\/auth$/, 'AuthResponse'],
];

/** The version of a path that has none. */
const contract = 41;

export interface WireReply {
  method: string;
  /** As requested, with version and query. */
  path: string;
  status: number;
  /** JSON, or lines of it. */
  body: string;
}

/** What is wrong with a successful answer in JSON; nothing of operations that have no declared answer. */
export function replyErrors({ method, path, status, body }: WireReply): string[] {
  if (status < 200 || status >= 300 || body.trim() === '') return [];
  const plain = (path.split('?')[0] ?? '').replace(/^\/v\d+\.\d+(?=\/)/, '');
  const minor = Number(/^\/v1\.(\d+)\//.exec(path)?.[1] ?? contract);
  const type = answers.find(
    ([m, pattern, , before]) => m === method && pattern.test(plain) && minor < (before ?? Infinity),
  )?.[2];
  if (type === undefined) return [];
  const errors = jsonValues(body).flatMap((value) => wireTypeErrors(type, value));
  return [...new Set(errors.map((error) => `${method} ${plain}: ${error.replace(/\[\d+\]/g, '[]')}`))];
}

/** The same for all answers that a daemon has recorded (CaissonDaemon.repliesPath), whatever client asked. */
export function recordedReplyErrors(path: string): string[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  const errors = lines.flatMap((line) => (line === '' ? [] : replyErrors(JSON.parse(line) as WireReply)));
  return [...new Set(errors)];
}

function jsonValues(body: string): unknown[] {
  try {
    return [JSON.parse(body)];
  } catch {
    // The last line of a stream that was left may be cut.
    return body
      .split(/\r?\n/)
      .slice(0, -1)
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  }
}
