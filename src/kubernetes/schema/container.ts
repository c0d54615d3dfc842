// core/v1 Container and what it is made of.

import { z } from 'zod';
import { count, label, objectName, port, portReference, quantity, seconds } from './common';

const envSource = z.strictObject({
  fieldRef: z.strictObject({ apiVersion: z.literal('v1').optional(), fieldPath: z.string() }).optional(),
  resourceFieldRef: z
    .strictObject({
      containerName: z.string().optional(),
      resource: z.string(),
      divisor: quantity.optional(),
    })
    .optional(),
  configMapKeyRef: z
    .strictObject({ name: objectName, key: z.string(), optional: z.boolean().optional() })
    .optional(),
  secretKeyRef: z
    .strictObject({ name: objectName, key: z.string(), optional: z.boolean().optional() })
    .optional(),
});

const envVar = z.strictObject({
  name: z.string().regex(/^[^=\0]+$/, 'must not be empty or have a "="'),
  value: z.string().optional(),
  valueFrom: envSource.optional(),
});

const namedSource = z.strictObject({ name: objectName, optional: z.boolean().optional() });
const envFrom = z.strictObject({
  prefix: z.string().optional(),
  configMapRef: namedSource.optional(),
  secretRef: namedSource.optional(),
});

const containerPort = z.strictObject({
  name: z.string().max(15).optional(),
  containerPort: port,
  hostPort: port.optional(),
  hostIP: z.string().optional(),
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
});

const volumeMount = z.strictObject({
  name: label,
  mountPath: z.string().regex(/^\/[^:\0]*$/, 'must be absolute and without ":"'),
  subPath: z.string().optional(),
  subPathExpr: z.string().optional(),
  readOnly: z.boolean().optional(),
  recursiveReadOnly: z.enum(['Disabled', 'IfPossible', 'Enabled']).optional(),
  mountPropagation: z.enum(['None', 'HostToContainer', 'Bidirectional']).optional(),
});

const execAction = z.strictObject({ command: z.array(z.string()).min(1) });
const httpGetAction = z.strictObject({
  path: z.string().optional(),
  port: portReference,
  host: z.string().optional(),
  scheme: z.enum(['HTTP', 'HTTPS']).optional(),
  httpHeaders: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
});
const tcpSocketAction = z.strictObject({ port: portReference, host: z.string().optional() });

const probe = z.strictObject({
  exec: execAction.optional(),
  httpGet: httpGetAction.optional(),
  tcpSocket: tcpSocketAction.optional(),
  initialDelaySeconds: seconds.optional(),
  timeoutSeconds: z.int().min(1).optional(),
  periodSeconds: z.int().min(1).optional(),
  successThreshold: z.int().min(1).optional(),
  failureThreshold: z.int().min(1).optional(),
  terminationGracePeriodSeconds: z.int().min(1).optional(),
});

const handler = z.strictObject({
  exec: execAction.optional(),
  httpGet: httpGetAction.optional(),
  tcpSocket: tcpSocketAction.optional(),
  sleep: z.strictObject({ seconds: count }).optional(),
});

export const seccompProfile = z.strictObject({
  type: z.enum(['RuntimeDefault', 'Unconfined']),
});

const securityContext = z.strictObject({
  runAsUser: count.optional(),
  runAsGroup: count.optional(),
  runAsNonRoot: z.boolean().optional(),
  privileged: z.boolean().optional(),
  readOnlyRootFilesystem: z.boolean().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  capabilities: z
    .strictObject({ add: z.array(z.string()).optional(), drop: z.array(z.string()).optional() })
    .optional(),
  seccompProfile: seccompProfile.optional(),
  procMount: z.enum(['Default', 'Unmasked']).optional(),
});

const resources = z.strictObject({
  limits: z.record(z.string(), quantity).optional(),
  requests: z.record(z.string(), quantity).optional(),
});

export const container = z.strictObject({
  name: label,
  image: z.string().min(1),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workingDir: z.string().optional(),
  env: z.array(envVar).optional(),
  envFrom: z.array(envFrom).optional(),
  ports: z.array(containerPort).optional(),
  volumeMounts: z.array(volumeMount).optional(),
  resources: resources.optional(),
  securityContext: securityContext.optional(),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  lifecycle: z.strictObject({ postStart: handler.optional(), preStop: handler.optional() }).optional(),
  /** Of an init container only: Always makes it a sidecar. */
  restartPolicy: z.literal('Always').optional(),
  stdin: z.boolean().optional(),
  stdinOnce: z.boolean().optional(),
  tty: z.boolean().optional(),
  terminationMessagePath: z.string().optional(),
  terminationMessagePolicy: z.enum(['File', 'FallbackToLogsOnError']).optional(),
});

export type Container = z.infer<typeof container>;
export type EnvVar = z.infer<typeof envVar>;
export type EnvFrom = z.infer<typeof envFrom>;
export type ContainerPort = z.infer<typeof containerPort>;
export type VolumeMount = z.infer<typeof volumeMount>;
export type Probe = z.infer<typeof probe>;
export type Handler = z.infer<typeof handler>;
export type SecurityContext = z.infer<typeof securityContext>;
export type Resources = z.infer<typeof resources>;
