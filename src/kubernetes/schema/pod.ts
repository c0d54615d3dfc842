// schema/: which fields manifests may have.
//
// core/v1 Pod: its spec and its volumes.

import { z } from 'zod';
import { count, fileMode, label, metadata, objectName, quantity, seconds, templateMetadata } from './common';
import { container, seccompProfile } from './container';

const keyToPath = z.strictObject({ key: z.string(), path: z.string(), mode: fileMode.optional() });
const downwardFile = z.strictObject({
  path: z.string(),
  mode: fileMode.optional(),
  fieldRef: z.strictObject({ apiVersion: z.literal('v1').optional(), fieldPath: z.string() }),
});
const optional = z.boolean().optional();
const items = z.array(keyToPath).optional();

const configMapSource = z.strictObject({ name: objectName, items, optional });
const secretSource = z.strictObject({ secretName: objectName, items, optional });

const volume = z.strictObject({
  name: label,
  emptyDir: z
    .strictObject({ medium: z.enum(['', 'Memory']).optional(), sizeLimit: quantity.optional() })
    .nullish(),
  hostPath: z
    .strictObject({
      path: z.string().startsWith('/', 'must be absolute'),
      type: z.enum(['', 'DirectoryOrCreate', 'Directory', 'FileOrCreate', 'File', 'Socket']).optional(),
    })
    .optional(),
  configMap: configMapSource.extend({ defaultMode: fileMode.optional() }).optional(),
  secret: secretSource.extend({ defaultMode: fileMode.optional() }).optional(),
  downwardAPI: z
    .strictObject({ items: z.array(downwardFile).optional(), defaultMode: fileMode.optional() })
    .optional(),
  projected: z
    .strictObject({
      defaultMode: fileMode.optional(),
      sources: z.array(
        z.strictObject({
          configMap: configMapSource.optional(),
          // a projected secret is called `name`, a secret volume's `secretName`
          secret: z.strictObject({ name: objectName, items, optional }).optional(),
          downwardAPI: z.strictObject({ items: z.array(downwardFile).optional() }).optional(),
        }),
      ),
    })
    .optional(),
  persistentVolumeClaim: z
    .strictObject({ claimName: objectName, readOnly: z.boolean().optional() })
    .optional(),
});

const podSecurityContext = z.strictObject({
  runAsUser: count.optional(),
  runAsGroup: count.optional(),
  runAsNonRoot: z.boolean().optional(),
  supplementalGroups: z.array(count).optional(),
  fsGroup: count.optional(),
  fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']).optional(),
  sysctls: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
  seccompProfile: seccompProfile.optional(),
});

/** Fields that choose a node, or speak to a cluster: on one machine they change nothing, and a warning says so. */
export const clusterOnlyFields = [
  'affinity',
  'automountServiceAccountToken',
  'enableServiceLinks',
  'nodeName',
  'nodeSelector',
  'overhead',
  'preemptionPolicy',
  'priority',
  'priorityClassName',
  'readinessGates',
  'runtimeClassName',
  'schedulerName',
  'serviceAccount',
  'serviceAccountName',
  'tolerations',
  'topologySpreadConstraints',
] as const;

/** Fields of workloads and claims, of containers and of mounts that are taken and warned about in the same way. */
export const warnedWorkloadFields = [
  'accessModes',
  'manualSelector',
  'minReadySeconds',
  'persistentVolumeClaimRetentionPolicy',
  'progressDeadlineSeconds',
  'resources',
  'revisionHistoryLimit',
  'storageClassName',
  'strategy',
  'ttlSecondsAfterFinished',
  'updateStrategy',
  'volumeName',
] as const;
export const warnedContainerFields = ['terminationMessagePath', 'terminationMessagePolicy'] as const;
export const warnedMountFields = ['mountPropagation', 'recursiveReadOnly'] as const;

const clusterOnly = Object.fromEntries(
  clusterOnlyFields.map((field) => [field, z.unknown().optional()]),
) as Record<(typeof clusterOnlyFields)[number], z.ZodOptional<z.ZodUnknown>>;

export const podSpec = z.strictObject({
  ...clusterOnly,
  serviceAccountName: z.string().optional(), // a field of the downward API
  containers: z.array(container).min(1, 'a Pod needs a container'),
  initContainers: z.array(container).optional(),
  volumes: z.array(volume).optional(),
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
  terminationGracePeriodSeconds: seconds.optional(),
  activeDeadlineSeconds: z.int().min(1).optional(),
  shareProcessNamespace: z.boolean().optional(),
  hostNetwork: z.literal(false, 'is not given: a Pod has a network of its own; use hostPort').optional(),
  hostPID: z.literal(false, 'is not given: a Pod never sees processes of the host').optional(),
  hostIPC: z.literal(false, 'is not given: a Pod never shares the IPC of the host').optional(),
  hostname: label.optional(),
  subdomain: label.optional(),
  setHostnameAsFQDN: z.literal(false, 'is not supported').optional(),
  hostAliases: z
    .array(z.strictObject({ ip: z.string(), hostnames: z.array(z.string()).optional() }))
    .optional(),
  dnsPolicy: z.enum(['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']).optional(),
  dnsConfig: z
    .strictObject({
      nameservers: z.array(z.string()).optional(),
      searches: z.array(z.string()).optional(),
      options: z.array(z.strictObject({ name: z.string(), value: z.string().optional() })).optional(),
    })
    .optional(),
  imagePullSecrets: z.array(z.strictObject({ name: objectName })).optional(),
  securityContext: podSecurityContext.optional(),
  os: z.strictObject({ name: z.literal('linux') }).optional(),
});

export const pod = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Pod'),
  metadata,
  spec: podSpec,
  status: z.unknown().optional(),
});

export const podTemplate = z.strictObject({ metadata: templateMetadata.optional(), spec: podSpec });

export type PodSpec = z.infer<typeof podSpec>;
export type Pod = z.infer<typeof pod>;
export type PodTemplate = z.infer<typeof podTemplate>;
export type Volume = z.infer<typeof volume>;
export type PodSecurityContext = z.infer<typeof podSecurityContext>;
