// The configuration of the image that a stage makes (OCI image configuration, with Docker's fields), and its history.

import { BuildError } from '../../contract/errors';
import type { Platform } from '../../contract/llb';

type JsonObject = Record<string, unknown>;

/** What instructions change of `config`. Everything else of a base image is kept as it is. */
export interface RunConfig {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, object>;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  StopSignal?: string;
  OnBuild?: string[] | null;
  Shell?: string[];
  Healthcheck?: JsonObject;
  ArgsEscaped?: boolean;
}

export interface HistoryEntry {
  readonly created_by: string;
  readonly comment: string;
  readonly created?: string;
  readonly empty_layer?: true;
}

const comment = 'buildkit.dockerfile.v0';
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const maxConfigBytes = 4 * 1024 * 1024;

export class ImageState {
  readonly config: RunConfig;
  readonly #top: JsonObject;
  readonly #history: JsonObject[];

  private constructor(top: JsonObject, config: RunConfig, history: readonly JsonObject[]) {
    this.#top = top;
    this.config = config;
    this.#history = [...history];
  }

  static empty({ OS, Architecture, Variant }: Platform): ImageState {
    const top: JsonObject = { architecture: Architecture, os: OS };
    if (Variant !== '') top['variant'] = Variant;
    return new ImageState(top, { Env: [`PATH=${defaultPath}`], WorkingDir: '/' }, []);
  }

  /** Of a base image. Throws BuildError for what is no configuration. */
  static parse(bytes: Buffer): ImageState {
    const { config, history, ...top } = objectOf(bytes);
    // it is a new image
    delete top['created'];
    const state = new ImageState(top, runConfigOf(config), historyOf(history));
    state.config.Env ??= [];
    if (!state.config.Env.some((entry) => entry.startsWith('PATH=')))
      state.config.Env.push(`PATH=${defaultPath}`);
    return state;
  }

  /** To go on from. */
  copy(): ImageState {
    return new ImageState({ ...this.#top }, structuredClone(this.config), this.#history);
  }

  get os(): string {
    return typeof this.#top['os'] === 'string' ? this.#top['os'] : 'linux';
  }

  get platform(): Pick<Platform, 'OS' | 'Architecture' | 'Variant'> {
    const text = (name: string): string => {
      const value = this.#top[name];
      return typeof value === 'string' ? value : '';
    };
    return { OS: this.os, Architecture: text('architecture'), Variant: text('variant') };
  }

  set author(name: string) {
    this.#top['author'] = name;
  }

  setPlatform({ OS, Architecture, Variant }: Platform): void {
    this.#top['os'] = OS;
    this.#top['architecture'] = Architecture;
    if (Variant !== '') this.#top['variant'] = Variant;
  }

  /** An instruction, in the words in which `docker history` shows it. */
  record(
    createdBy: string,
    { hasLayer, created }: { hasLayer: boolean; created?: string | undefined },
  ): void {
    const entry: HistoryEntry = {
      ...(created === undefined ? {} : { created }),
      created_by: createdBy,
      comment,
      ...(hasLayer ? {} : { empty_layer: true }),
    };
    this.#history.push({ ...entry });
  }

  setEnv(name: string, value: string): void {
    const env = (this.config.Env ??= []);
    const at = env.findIndex((entry) => entry.startsWith(`${name}=`) || entry === name);
    if (at >= 0) env[at] = `${name}=${value}`;
    else env.push(`${name}=${value}`);
  }

  toJson({ created }: { created?: string } = {}): Buffer {
    const value = {
      ...this.#top,
      ...(created === undefined ? {} : { created }),
      config: this.config,
      rootfs: this.#top['rootfs'] ?? { type: 'layers', diff_ids: null },
      history: this.#history,
    };
    return Buffer.from(JSON.stringify(value));
  }
}

function objectOf(bytes: Buffer): JsonObject {
  if (bytes.length > maxConfigBytes) throw malformed('too large');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (error) {
    throw malformed('no JSON', error);
  }
  if (!isObject(value)) throw malformed('no object');
  return value;
}

function runConfigOf(value: unknown): RunConfig {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw malformed('config is no object');
  const {
    User,
    Env,
    Entrypoint,
    Cmd,
    WorkingDir,
    OnBuild,
    Shell,
    StopSignal,
    Labels,
    Volumes,
    ExposedPorts,
  } = value;
  const isText = (text: unknown): boolean => text === undefined || typeof text === 'string';
  const isList = (list: unknown): boolean =>
    list === undefined ||
    list === null ||
    (Array.isArray(list) && list.every((item) => typeof item === 'string'));
  const isMap = (map: unknown): boolean => map === undefined || map === null || isObject(map);
  if (
    ![User, WorkingDir, StopSignal].every(isText) ||
    ![Env, Entrypoint, Cmd, OnBuild, Shell].every(isList) ||
    ![Labels, Volumes, ExposedPorts].every(isMap)
  ) {
    throw malformed('config has a member of another type');
  }
  // null is as good as absent
  const present = Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
  return present; // each member was looked at
}

function historyOf(value: unknown): JsonObject[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isObject)) throw malformed('history is no list of objects');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(reason: string, cause?: unknown): BuildError {
  return new BuildError('InvalidArgument', `failed to parse image config: ${reason}`, { cause });
}
