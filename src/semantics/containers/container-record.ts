// What is kept of a container across restarts of the daemon, as one document of the collection `containers`.

import type {
  EndpointSettings,
  FilledContainerConfig,
  FilledHostConfig,
  MountPoint,
} from '../../docker/types';
import type { Endpoint, PublishedPort } from '../../network/network';
import type { ContainerState } from './container-state';

export const containerCollection = 'containers';

/** One network of the container, by the network's name: what the client asked for, and what it got while it has an endpoint. */
export interface ContainerNetwork {
  /** Id of the network once it was resolved; '' before. */
  networkId: string;
  requested: EndpointSettings;
  /** Present while the endpoint is allocated: from start to exit. */
  endpoint?: Endpoint;
  /** The VM's NIC that carries it, while running. */
  nic?: number;
}

/** A container that this one is linked to on the default bridge. */
export interface LinkRecord {
  containerId: string;
  /** As it was called then: for messages when it is gone. */
  name: string;
}

/** What a mount point doesn't show, of one destination. */
export interface MountDetails {
  /** `nocopy`: a volume is not filled from the image. */
  noCopy: boolean;
  /** Below the volume's root. */
  subpath: string;
  /** A bind's missing source is made (`-v`), or is an error (`--mount`). */
  createSource: boolean;
  /** Without the mounts below the source. */
  nonRecursive: boolean;
  /** Of an image that is mounted: as it was at create, whatever its name means later. Lowest layer first. */
  image?: { id: string; layers: readonly string[] };
  /** Of a bind of the engine's own socket, where there are no files of the host that could be bound. */
  isEngineSocket?: boolean;
  /** Of a volume that is a disk: its path on the host. */
  diskPath?: string;
}

export interface ContainerRecord {
  id: string;
  /** Without the leading slash that the API shows. */
  name: string;
  /** RFC 3339 with nanoseconds. */
  createdAt: string;
  /** After validation, defaults and the merge with the image's configuration: what inspect shows. */
  config: FilledContainerConfig;
  hostConfig: FilledHostConfig;
  /** `Path` and `Args` of inspect. */
  path: string;
  args: string[];
  /** `sha256:…`; the reference the client used is `config.Image`. */
  imageId: string;
  /** Diff IDs of the image's layers, lowest first. */
  layers: string[];
  platform: string;
  /** Of its image, in OCI's word; absent: the host's processor runs its programs. */
  architecture?: string;
  /** The Pod it belongs to: its own id for a Docker container. */
  podId: string;
  state: ContainerState;
  /** Starts by the restart policy since the last start by a user. */
  restartCount: number;
  /** A user stopped it: the policies `unless-stopped` and, until the daemon restarts, `always` leave it alone. */
  manuallyStopped: boolean;
  logPath: string;
  writableDiskBytes: number;
  mounts: MountPoint[];
  /** What mount points don't show, by destination; absent where there is nothing to say. */
  mountDetails?: Record<string, MountDetails>;
  networks: Record<string, ContainerNetwork>;
  /** Links on the default bridge, by alias; absent where there are none. */
  links?: Record<string, LinkRecord>;
  /** Ports bound on the host, while running. */
  publishedPorts: PublishedPort[];
  /** A RUN of a build that goes on: without that build it is of no use. */
  isBuildStep?: boolean;
  /** Warnings that create answered with. */
  warnings: string[];
}

/** An image that is mounted in a container. */
export interface ImageMount {
  destination: string;
  /** Relative to the image's root; "" for all of it. */
  subpath: string;
  id: string;
  layers: readonly string[];
}

/** In the order in which the container's VM has them. */
export function imageMounts({
  mounts,
  mountDetails = {},
}: Pick<ContainerRecord, 'mounts' | 'mountDetails'>): ImageMount[] {
  return mounts.flatMap(({ Type, Destination: destination }) => {
    const details = Type === 'image' ? mountDetails[destination] : undefined;
    return details?.image === undefined ? [] : [{ destination, subpath: details.subpath, ...details.image }];
  });
}

/** Volumes that are disks. The container's VM has them after the images. */
export function diskMounts({
  mounts,
  mountDetails = {},
}: Pick<ContainerRecord, 'mounts' | 'mountDetails'>): { point: MountPoint; diskPath: string }[] {
  return mounts.flatMap((point) => {
    const diskPath = point.Type === 'volume' ? mountDetails[point.Destination]?.diskPath : undefined;
    return diskPath === undefined ? [] : [{ point, diskPath }];
  });
}

/** Diff IDs of all layers that a container is in need of: of its image, and of those that are mounted. */
export function neededLayers(
  record: Pick<ContainerRecord, 'layers' | 'mounts' | 'mountDetails'>,
): readonly string[] {
  return [...record.layers, ...imageMounts(record).flatMap(({ layers }) => layers)];
}

/** Name as the API shows it. */
export function slashedName(record: ContainerRecord): string {
  return `/${record.name}`;
}

/** Docker's attributes of a container event: its labels, image and name. */
export function eventAttributes(record: ContainerRecord): Record<string, string> {
  return { ...(record.config.Labels ?? {}), image: record.config.Image, name: record.name };
}
