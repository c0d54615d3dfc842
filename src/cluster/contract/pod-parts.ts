// What each area adds to a container's Pod.

import type {
  V1Container,
  V1EnvVar,
  V1HostAlias,
  V1PodDNSConfig,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';

/** Where the supervisor lies in a container, and the volume of the Pod that it is in. */
export const supervisorDirectory = '/.caisson';
export const supervisorVolume = 'caisson';

/** Programs that a node starts with all that the Pod may: nobody in a container puts others there. */
export const supervisorMount: V1VolumeMount = {
  name: supervisorVolume,
  mountPath: supervisorDirectory,
  readOnly: true,
};

/** Where process 1 keeps its log, and its socket. */
export const stateDirectory = `${supervisorDirectory}/run`;

/** On a volume of this name, one for each that is process 1. */
export function runMount(name: string): V1VolumeMount {
  return { name, mountPath: stateDirectory };
}

export interface PodSocket {
  path: string;
  mode: number;
  uid: number;
  gid: number;
}

/** A supervisor has no more. */
export const mostSockets = 8;

/** Absent members add nothing. */
export interface PodParts {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  volumes?: V1Volume[];
  /** Of the container itself. */
  mounts?: V1VolumeMount[];
  environment?: V1EnvVar[];
  /** Unix sockets in the container, in the order by which who takes their connections knows them. */
  sockets?: PodSocket[];
  /** After the one that brings the supervisor. */
  initContainers?: V1Container[];
  hostAliases?: V1HostAlias[];
  dnsPolicy?: 'None' | 'ClusterFirst' | 'Default';
  dnsConfig?: V1PodDNSConfig;
  hostNetwork?: boolean;
  pullSecrets?: string[];
}
