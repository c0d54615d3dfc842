// What all kinds share. Every object is strict: a field that is not named here is refused with its path.

import { z } from 'zod';

/** RFC 1123 label, as names of Pods' parts must be. */
export const label = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a lower-case RFC 1123 label, such as "my-name"');

/** RFC 1123 subdomain: names of objects. */
export const objectName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'must be a lower-case RFC 1123 subdomain, such as "my-name" or "example.com"',
  );

export const stringMap = z.record(z.string(), z.string());
export const port = z.int().min(1).max(65535);
export const count = z.int().min(0);
export const seconds = z.int().min(0);
/** Kubernetes takes octal in YAML (0644), which is a number by now. */
export const fileMode = z.int().min(0).max(0o777);
/** A resource quantity: `500m`, `1.5`, `128Mi`. */
export const quantity = z.union([z.number(), z.string()]);
/** A port by number or by the name of a container's port. */
export const portReference = z.union([port, z.string().min(1)]);

/** Metadata that clusters write into objects is read over: it says nothing to us. */
export const metadata = z.strictObject({
  name: objectName,
  namespace: label.optional(),
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
  finalizers: z.unknown().optional(),
});

/** Of a Pod template: its name, if any, is not used. */
export const templateMetadata = metadata.partial();

export const labelSelector = z.strictObject({
  matchLabels: stringMap.optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string(),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

export type Metadata = z.infer<typeof metadata>;
