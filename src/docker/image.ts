// Images.

import type { FilledContainerConfig } from './container-config';

export interface GraphDriverData {
  Data: Record<string, string> | null;
  Name: string;
}

export interface ImageInspect {
  Id: string;
  RepoTags: string[];
  RepoDigests: string[];
  Parent: string;
  Comment: string;
  Created: string;
  Container: string;
  ContainerConfig: FilledContainerConfig;
  DockerVersion: string;
  Author: string;
  /** Null where the image has none. */
  Config: FilledContainerConfig | null;
  Architecture: string;
  Variant?: string;
  Os: string;
  OsVersion?: string;
  Size: number;
  VirtualSize: number;
  GraphDriver: GraphDriverData;
  RootFS: { Type: string; Layers?: string[] };
  Metadata: { LastTagTime: string };
}

export interface ImageSummary {
  /** −1 where not counted. */
  Containers: number;
  /** Seconds. */
  Created: number;
  Id: string;
  Labels: Record<string, string> | null;
  ParentId: string;
  RepoDigests: string[] | null;
  RepoTags: string[] | null;
  /** −1 where not computed. */
  SharedSize: number;
  Size: number;
  VirtualSize: number;
}

export interface HistoryItem {
  Comment: string;
  /** Seconds. */
  Created: number;
  CreatedBy: string;
  /** `<missing>` for layers without an image of their own. */
  Id: string;
  Size: number;
  Tags: string[] | null;
}

/** Exactly one of the two. */
export interface ImageDeleteItem {
  Untagged?: string;
  Deleted?: string;
}

export interface ImagePruneResponse {
  ImagesDeleted: ImageDeleteItem[] | null;
  SpaceReclaimed: number;
}

export interface ImageSearchItem {
  star_count: number;
  is_official: boolean;
  name: string;
  is_automated: boolean;
  description: string;
}

export interface OciDescriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export interface OciPlatform {
  architecture: string;
  os: string;
  'os.version'?: string;
  'os.features'?: string[];
  variant?: string;
}

export interface DistributionInspect {
  Descriptor: OciDescriptor;
  Platforms: OciPlatform[];
}
