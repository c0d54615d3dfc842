// Docker's own structures of an image's configuration, to find what its decoder would: with its errors' words.

import {
  bool,
  integer,
  list,
  named,
  string,
  stringList,
  struct,
  time,
  type Schema,
} from '../../go/json-schema';
import { configFields } from '../../docker/container-config-schema';

const runConfig = struct<Record<string, unknown>>('container.Config', configFields);
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
