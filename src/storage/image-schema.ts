// Docker's own structures of an image's configuration, to find what its decoder would: with its errors' words.

import {
  bool,
  integer,
  list,
  map,
  named,
  string,
  stringList,
  stringMap,
  strings,
  struct,
  time,
  type Schema,
} from '../go-json-schema';

const nothing = struct('struct {}', {});
const healthcheck = struct<Record<string, unknown>>('container.HealthConfig', {
  Test: stringList,
  Interval: integer('time.Duration'),
  Timeout: integer('time.Duration'),
  StartPeriod: integer('time.Duration'),
  Retries: integer('int'),
});
const runConfig = struct<Record<string, unknown>>('container.Config', {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: map(nothing, 'nat.PortSet'),
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: stringList,
  Cmd: strings,
  Healthcheck: healthcheck,
  ArgsEscaped: bool,
  Image: string,
  Volumes: map(nothing, 'map[string]struct {}'),
  WorkingDir: string,
  Entrypoint: strings,
  NetworkDisabled: bool,
  MacAddress: string,
  OnBuild: stringList,
  Labels: stringMap,
  StopSignal: string,
  StopTimeout: integer('int'),
  Shell: strings,
});
const v1Members: Record<string, Schema> = {
  id: string,
  parent: string,
  comment: string,
  created: time,
  container: string,
  container_config: runConfig,
  docker_version: string,
  author: string,
  config: runConfig,
  architecture: string,
  variant: string,
  os: string,
  Size: integer('int64'),
};
const history = struct<Record<string, unknown>>('image.History', {
  created: time,
  author: string,
  created_by: string,
  comment: string,
  empty_layer: bool,
});
const rootFs = struct<Record<string, unknown>>('image.RootFS', {
  type: string,
  diff_ids: list(named('layer.DiffID'), '[]layer.DiffID'),
});

/** Of the first image format. */
export const v1ImageSchema = struct<Record<string, unknown>>('image.V1Image', v1Members);
export const imageSchema = struct<Record<string, unknown>>('image.Image', {
  ...v1Members,
  parent: named('image.ID'),
  rootfs: rootFs,
  history: list(history, '[]image.History'),
  'os.version': string,
  'os.features': stringList,
});
