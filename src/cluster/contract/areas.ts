// By what containers reach images, networks, volumes and the streams of a run.

import type { Image } from '../../storage/contract/image';
import type { EndpointSettings, HostConfig, MountPoint } from '../../docker/types';
import type { ContainerNetwork, MountDetails } from '../../semantics/containers/container-record';
import type { PublishedPort } from '../../network/network';
import type { ClusterRecord, NodeSource, PodFacts } from './cluster-record';
import type { PodParts } from './pod-parts';

/** As an image's configuration has it: `linux`, `arm64`, `v8`. */
export interface ImagePlatform {
  os: string;
  architecture: string;
  variant?: string;
}

/** Images, as containers are made of them. */
export interface ContainerImages {
  /** By id or name. Throws NotFound in Docker's words. */
  forNode(ref: string, platform?: ImagePlatform): Promise<{ image: Image; source: NodeSource }>;
  /** A container that was made of it is gone. */
  released(source: NodeSource): Promise<void>;
}

/** Volumes and binds, as containers mount them. */
export interface ContainerVolumes {
  /** At create: makes the volumes that are named, and those of the image. Throws Docker's refusals. */
  resolve(
    hostConfig: HostConfig,
    imageVolumes: readonly string[],
  ): Promise<{ points: MountPoint[]; details: Record<string, MountDetails> }>;
  /** At start. */
  podParts(record: ClusterRecord): Promise<PodParts>;
  /** Of mount points that a container has, or was to have: those anonymous ones that no other has. */
  removeAnonymous(containerId: string, points: readonly MountPoint[]): Promise<void>;
  /** What is kept for its binds goes; its volumes stay, unless they were removed before. */
  removed(record: ClusterRecord): Promise<void>;
  /** Volumes of creates that came to nothing go once `isOld` says so of their names. */
  settle(isOld: (name: string) => boolean): Promise<void>;
}

/** What a container has of networks while it runs. */
export interface Attachment {
  networks: Record<string, ContainerNetwork>;
  publishedPorts: PublishedPort[];
  /** The Service that they are of; '': they are listeners. */
  portService: string;
}

/** A network that a run is on, as Docker's events name it. */
export interface JoinedNetwork {
  id: string;
  name: string;
  driver: string;
}

/** Networks, as containers are on them. */
export interface ContainerNetworks {
  /** At create: by name, as inspect shows them; the networks themselves may come later. */
  requested(
    mode: string,
    endpoints: Readonly<Record<string, EndpointSettings | null>>,
  ): Promise<Record<string, ContainerNetwork>>;
  /** At start, before the Pod. Throws Docker's errors for networks that aren't there, and for ports that are taken. */
  podParts(record: ClusterRecord): Promise<PodParts>;
  /** The Pod has its address: names and ports from now on. */
  attach(
    record: ClusterRecord,
    pod: PodFacts,
  ): Promise<{ attachment: Attachment; joined: readonly JoinedNetwork[] }>;
  /** The run is over: names and ports are given back. */
  detach(record: ClusterRecord): Promise<{ attachment: Attachment; left: readonly JoinedNetwork[] }>;
  /** It has another name, by which others find it from now on. */
  renamed(record: ClusterRecord): Promise<void>;
  /** Whatever there still is of it goes. */
  removed(record: ClusterRecord): Promise<void>;
}
