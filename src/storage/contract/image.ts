// An image as the stores keep it. JSON names inside `config` are OCI's and Docker's own.

import type { ImageConfig } from '../../docker/image-config';

export interface Image {
  /** `sha256:…` of the configuration blob. */
  id: string;
  config: ImageConfig;
  /** `repository:tag`, in familiar form (`busybox:latest`, `127.0.0.1:5000/debian:12`), sorted. */
  repoTags: string[];
  /** `repository@sha256:…`. */
  repoDigests: string[];
  /** Sum of the layers' uncompressed tar sizes, as Docker counts them. */
  sizeBytes: number;
  /** Parent image's id for images made by commit or build here, else ''. */
  parentId: string;
  /** When a tag was last put on it, milliseconds since the epoch; 0: never. */
  lastTagTimeMs: number;
  /** It has no name of its own, but an index that has one: it belongs to that. */
  isOfIndex?: true;
}
