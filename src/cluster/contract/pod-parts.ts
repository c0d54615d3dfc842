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

/** Absent members add nothing. */
export interface PodParts {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  volumes?: V1Volume[];
  /** Of the container itself. */
  mounts?: V1VolumeMount[];
  environment?: V1EnvVar[];
  /** After the one that brings the supervisor. */
  initContainers?: V1Container[];
  hostAliases?: V1HostAlias[];
  dnsPolicy?: 'None' | 'ClusterFirst' | 'Default';
  dnsConfig?: V1PodDNSConfig;
  hostNetwork?: boolean;
  pullSecrets?: string[];
}
