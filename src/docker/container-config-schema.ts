// Docker's structure of a container's configuration, as requests and images have it.

import type { ContainerConfig, HealthConfig } from './types';
import {
  bool,
  integer,
  map,
  string,
  stringList,
  stringMap,
  strings,
  struct,
  type Schema,
} from '../go/json-schema';

const emptyStruct = struct<object>('struct {}', {});

const healthConfig = struct<HealthConfig>('container.HealthConfig', {
  Test: stringList,
  Interval: integer('time.Duration'),
  Timeout: integer('time.Duration'),
  StartPeriod: integer('time.Duration'),
  StartInterval: integer('time.Duration'),
  Retries: integer('int'),
});

export const configFields: { [K in keyof Required<ContainerConfig>]: Schema } = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: map(emptyStruct, 'nat.PortSet'),
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: stringList,
  Cmd: strings,
  Healthcheck: healthConfig,
  ArgsEscaped: bool,
  Image: string,
  Volumes: map(emptyStruct, 'map[string]struct {}'),
  WorkingDir: string,
  Entrypoint: strings,
  NetworkDisabled: bool,
  MacAddress: string,
  OnBuild: stringList,
  Labels: stringMap,
  StopSignal: string,
  StopTimeout: integer('int'),
  Shell: strings,
};
