// contract/: what the parts of the cluster's backend see of each other. Types, and nothing that acts.
//
// The record of a container, as the cluster keeps it.

import type { Health } from '../../docker/types';
import type { ContainerRecord } from '../../semantics/containers/container-record';

/** The Pod that a container has: from its start, or the first copy into it, until it is removed. */
export interface PodFacts {
  name: string;
  uid: string;
  node: string;
  /** '' before it has one. */
  address: string;
}

/** Whence a node pulls the container's image. */
export interface NodeSource {
  /** With its registry and digest. */
  reference: string;
  /** Secret of the namespace with what the registry asks for. */
  secret?: string;
}

/** As Docker's semantics have it, and what is the cluster's. */
export interface ClusterRecord extends ContainerRecord {
  source: NodeSource;
  /** Absent: the container has no check, or never ran. */
  health?: Health;
  pod?: PodFacts;
  /** The Service that its `publishedPorts` are of; '' or absent: they are listeners. */
  portService?: string;
  /** Its writable layer went with a Pod that is gone: evicted, or deleted by somebody else. */
  layerLost?: boolean;
  /** When a start in a Pod that was there already began, until it is through: should its daemon end before, this tells of it. */
  startBegunAt?: string;
  /** Being removed with its anonymous volumes: whoever ends the removal removes them, too. */
  removesVolumes?: boolean;
  /** Of a build's step: becomes another as long as its daemon lives. */
  buildBeat?: number;
}

/** What changes without a client's asking; the rest of a record is its object's spec. */
export const statusMembers = [
  'state',
  'restartCount',
  'manuallyStopped',
  'networks',
  'publishedPorts',
  'portService',
  'health',
  'pod',
  'layerLost',
  'startBegunAt',
  'removesVolumes',
  'buildBeat',
] as const satisfies readonly (keyof ClusterRecord)[];
