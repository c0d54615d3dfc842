// What Kubernetes manifests come to here: Pods' templates, and what the daemon's controller does around them.

import type { AuthConfig } from '../docker/types';
import type { PodTemplate } from '../api/v1/types';

/** One Pod, Deployment, StatefulSet, DaemonSet or Job. */
export interface WorkloadPlan {
  kind: 'Pod' | 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job';
  name: string;
  /** In the order in which they start; of a Job one for each completion. */
  pods: PodPlan[];
  /** StatefulSets of OrderedReady start a Pod when the one before is ready. */
  ordered: boolean;
  job?: JobPlan;
}

export interface JobPlan {
  parallelism: number;
  /** Failures of Pods before the Job has failed. */
  backoffLimit: number;
  activeDeadlineSeconds?: number;
}

export interface PodPlan {
  template: PodTemplate;
  restartPolicy: 'Always' | 'OnFailure' | 'Never';
  /** Between TERM and KILL. */
  gracePeriodSeconds: number;
  /** From its start on; then it has failed. */
  activeDeadlineSeconds?: number;
  volumes: VolumePlan[];
  containers: ContainerPlan[];
  pullCredentials: AuthConfig[];
}

export interface VolumePlan {
  name: string;
  /** Docker's volume that it is; absent for `host` and `memory`. */
  volumeName?: string;
  /** Given to new volumes' directories, with the setgid bit. */
  fsGroup?: number;
  /** Directories that subPath asks for. */
  subPaths: string[];
  source:
    | { kind: 'memory'; sizeBytes?: number }
    /** Gone with the Pod. */
    | { kind: 'empty'; sizeBytes?: number }
    | { kind: 'host'; path: string; type: string }
    /** `declared`: a claim of the file, which makes the volume. */
    | { kind: 'claim'; claimName: string; readOnly: boolean; declared: boolean }
    | { kind: 'files'; files: FilePlan[] };
}

export interface FilePlan {
  /** Relative, without `..`. */
  path: string;
  mode: number;
  content: Buffer;
}

export interface ContainerPlan {
  name: string;
  role: 'init' | 'sidecar' | 'main';
  image: string;
  pullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Refuse to start as user 0, also when the image says so. */
  runAsNonRoot: boolean;
  runAsUser?: number;
  probes: { startup?: ProbePlan; liveness?: ProbePlan; readiness?: ProbePlan };
  hooks: { postStart?: ActionPlan; preStop?: ActionPlan };
}

/** With ports as numbers. `host` undefined: the Pod's address. */
export type ActionPlan =
  | { kind: 'exec'; command: string[] }
  | {
      kind: 'http';
      scheme: 'http' | 'https';
      host?: string;
      port: number;
      path: string;
      headers: { name: string; value: string }[];
    }
  | { kind: 'tcp'; host?: string; port: number }
  | { kind: 'sleep'; seconds: number };

export interface ProbePlan {
  action: ActionPlan;
  initialDelaySeconds: number;
  periodSeconds: number;
  timeoutSeconds: number;
  successThreshold: number;
  failureThreshold: number;
  gracePeriodSeconds?: number;
}
