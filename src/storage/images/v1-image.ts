// The configuration of Docker's first image format, one for each layer: `docker save` writes it still, and names the
// layers' directories by ids made of it.

import { createHash } from 'node:crypto';
import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';

export interface V1Layer {
  /** 64 hexadecimal digits; the same configuration on the same layers has the same. */
  id: string;
  /** Text of the layer's `json`. */
  json: string;
}

/** Members in the order in which Docker's own structure has them, and what stands for none; undefined: left out. */
const runMembers: readonly [name: string, empty: unknown][] = [
  ['Hostname', ''],
  ['Domainname', ''],
  ['User', ''],
  ['AttachStdin', false],
  ['AttachStdout', false],
  ['AttachStderr', false],
  ['ExposedPorts', undefined],
  ['Tty', false],
  ['OpenStdin', false],
  ['StdinOnce', false],
  ['Env', null],
  ['Cmd', null],
  ['Healthcheck', undefined],
  ['ArgsEscaped', undefined],
  ['Image', ''],
  ['Volumes', null],
  ['WorkingDir', ''],
  ['Entrypoint', null],
  ['NetworkDisabled', undefined],
  ['MacAddress', undefined],
  ['OnBuild', null],
  ['Labels', null],
  ['StopSignal', undefined],
  ['StopTimeout', undefined],
  ['Shell', undefined],
];
const maps = new Set(['ExposedPorts', 'Volumes', 'Labels']);
const epoch = '1970-01-01T00:00:00Z';

/** Of an image's layers, lowest first. Only the topmost tells of the image, as in what dockerd 20.10 writes. */
export function v1Layers(config: ImageConfig, chainIds: readonly string[]): V1Layer[] {
  const layers: V1Layer[] = [];
  let parent: string | undefined;
  for (const [i, chainId] of chainIds.entries()) {
    const members =
      i === chainIds.length - 1
        ? imageMembers(config)
        : { created: epoch, container_config: runConfig(undefined) };
    const named = { ...members, layer_id: chainId, ...(parent === undefined ? {} : { parent }) };
    const hex = createHash('sha256')
      .update(goJson(sorted(named)))
      .digest('hex');
    const json = ordered({
      ...members,
      id: hex,
      ...(parent === undefined ? {} : { parent: parent.slice('sha256:'.length) }),
      os: config.os,
    });
    layers.push({ id: hex, json: goJson(json) });
    parent = `sha256:${hex}`;
  }
  return layers;
}

/** JSON as Go's encoder writes it: what means something in HTML is escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Those that Docker's structure has, in its order within; what is empty is left out. */
export function imageMembers(config: Omit<ImageConfig, 'rootfs'>): Record<string, unknown> {
  const { comment, container, docker_version, author, architecture, variant, os } = config;
  const texts = { comment, container, docker_version, author, architecture, variant, os };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')),
    created: goTime(config.created),
    container_config: runConfig(config.container_config ?? undefined),
    ...(config.config === undefined || config.config === null ? {} : { config: runConfig(config.config) }),
  };
}

const topOrder = [
  ...['id', 'parent', 'comment', 'created', 'container', 'container_config', 'docker_version', 'author'],
  ...['config', 'architecture', 'variant', 'os'],
];

function ordered(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(topOrder.filter((name) => name in members).map((name) => [name, members[name]]));
}

function runConfig(config: ImageRunConfig | undefined): Record<string, unknown> {
  const given = { ...config } as Record<string, unknown>;
  const shown: Record<string, unknown> = {};
  for (const [name, empty] of runMembers) {
    const value = given[name];
    if (empty === undefined && isEmpty(value)) continue;
    const isMap = maps.has(name) && typeof value === 'object' && value !== null;
    shown[name] = value === undefined ? empty : isMap ? sorted(value as Record<string, unknown>) : value;
  }
  return shown;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

export function sorted(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As Go prints what it has parsed: no zeros at the end of the fraction. */
export function goTime(text: string | undefined): string {
  if (text === undefined || text === '') return '0001-01-01T00:00:00Z';
  return text.replace(/(\.\d*?)0+(?=[Z+-])/, '$1').replace(/\.(?=[Z+-])/, '');
}
