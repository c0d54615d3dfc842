// What makes Pods, and what Pods refer to: apps/v1, batch/v1, and core/v1's data.

import { z } from 'zod';
import { count, labelSelector, metadata, quantity, stringMap } from './common';
import { pod, podTemplate } from './pod';

/** How new Pods take the place of old ones is a cluster's matter: `--replace` takes all of them. */
const strategy = z.unknown().optional();
const status = z.unknown().optional();

const deployment = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('Deployment'),
  metadata,
  spec: z.strictObject({
    replicas: count.optional(),
    selector: labelSelector,
    template: podTemplate,
    strategy,
    minReadySeconds: count.optional(),
    revisionHistoryLimit: count.optional(),
    progressDeadlineSeconds: count.optional(),
    paused: z.literal(false).optional(),
  }),
  status,
});

const claimSpec = z.strictObject({
  accessModes: z
    .array(z.enum(['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod']))
    .optional(),
  resources: z
    .strictObject({
      requests: z.record(z.string(), quantity).optional(),
      limits: z.record(z.string(), quantity).optional(),
    })
    .optional(),
  storageClassName: z.string().optional(),
  volumeMode: z.literal('Filesystem', 'must be Filesystem: raw block devices are not given').optional(),
  volumeName: z.string().optional(),
});

const claimTemplate = z.strictObject({
  apiVersion: z.literal('v1').optional(),
  kind: z.literal('PersistentVolumeClaim').optional(),
  metadata,
  spec: claimSpec,
  status,
});

const statefulSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('StatefulSet'),
  metadata,
  spec: z.strictObject({
    replicas: count.optional(),
    selector: labelSelector,
    template: podTemplate,
    serviceName: z.string().optional(),
    volumeClaimTemplates: z.array(claimTemplate).optional(),
    podManagementPolicy: z.enum(['OrderedReady', 'Parallel']).optional(),
    ordinals: z.strictObject({ start: count.optional() }).optional(),
    persistentVolumeClaimRetentionPolicy: z
      .strictObject({
        whenDeleted: z.enum(['Retain', 'Delete']).optional(),
        whenScaled: z.enum(['Retain', 'Delete']).optional(),
      })
      .optional(),
    updateStrategy: strategy,
    minReadySeconds: count.optional(),
    revisionHistoryLimit: count.optional(),
  }),
  status,
});

const daemonSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('DaemonSet'),
  metadata,
  spec: z.strictObject({
    selector: labelSelector,
    template: podTemplate,
    updateStrategy: strategy,
    minReadySeconds: count.optional(),
    revisionHistoryLimit: count.optional(),
  }),
  status,
});

const job = z.strictObject({
  apiVersion: z.literal('batch/v1'),
  kind: z.literal('Job'),
  metadata,
  spec: z.strictObject({
    template: podTemplate,
    completions: z.int().min(1).optional(),
    parallelism: z.int().min(1).optional(),
    backoffLimit: count.optional(),
    activeDeadlineSeconds: z.int().min(1).optional(),
    completionMode: z.enum(['NonIndexed', 'Indexed']).optional(),
    ttlSecondsAfterFinished: count.optional(),
    suspend: z.literal(false, 'a suspended Job would never run').optional(),
    manualSelector: z.boolean().optional(),
    selector: labelSelector.optional(),
  }),
  status,
});

const configMap = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata,
  data: stringMap.optional(),
  binaryData: stringMap.optional(),
  immutable: z.boolean().optional(),
});

const secret = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata,
  type: z.string().optional(),
  data: stringMap.optional(),
  stringData: stringMap.optional(),
  immutable: z.boolean().optional(),
});

const persistentVolumeClaim = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('PersistentVolumeClaim'),
  metadata,
  spec: claimSpec,
  status,
});

/** Every kind that is understood, by kind. */
export const manifestSchemas = {
  Pod: pod,
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  Job: job,
  ConfigMap: configMap,
  Secret: secret,
  PersistentVolumeClaim: persistentVolumeClaim,
} as const;

export type Kind = keyof typeof manifestSchemas;
export type Manifest = { [K in Kind]: z.infer<(typeof manifestSchemas)[K]> }[Kind];
export type ManifestOf<K extends Kind> = Extract<Manifest, { kind: K }>;
