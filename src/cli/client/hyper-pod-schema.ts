// HyperContainer's Pod file: every field that it had. Those that are not here are refused with their path.

import { z } from 'zod';

const text = z.string();
const textMap = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
const absolutePath = z.string().regex(/^\//, 'must be an absolute path');
/** A number, or text with a number or a range of them. */
const ports = z
  .union([z.number().int(), z.string().regex(/^\d+(-\d+)?$/, 'must be a port, or a range such as 8000-8010')])
  .transform((given) => {
    const [first, last = first] = String(given).split('-').map(Number);
    return { first: first ?? 0, last: last ?? 0 };
  })
  .refine(({ first, last }) => first > 0 && last <= 65_535 && first <= last, 'must be from 1 to 65535');
const protocol = z
  .string()
  .transform((name) => name.toLowerCase())
  .pipe(z.enum(['tcp', 'udp']));
const restartPolicy = z.enum(['never', 'always', 'onFailure']);
/** Names are in the image's files, which only its VM reads. */
const owner = z
  .union([z.number().int().nonnegative(), z.string()])
  .transform((given) => (given === '' || given === 'root' ? 0 : Number(given)))
  .refine((id) => Number.isSafeInteger(id) && id >= 0, 'must be "root" or a number');

const portMapping = z.strictObject({
  containerPort: ports,
  hostPort: ports.optional(),
  protocol: protocol.optional(),
});

const volume = z.strictObject({
  name: text,
  source: absolutePath.optional(),
  format: z
    .enum(
      ['', 'vfs'],
      'only "vfs", a directory or file of the host, is supported; without a source it is new',
    )
    .optional(),
});

const container = z.strictObject({
  name: text.optional(),
  image: text.min(1),
  command: z.array(text).optional(),
  entrypoint: z.array(text).optional(),
  workdir: text.optional(),
  envs: z
    .array(
      z.strictObject({
        env: text.min(1),
        value: z.union([z.string(), z.number(), z.boolean()]).transform(String).optional(),
      }),
    )
    .optional(),
  ports: z.array(portMapping).optional(),
  volumes: z
    .array(
      z.strictObject({
        volume: text.optional(),
        path: absolutePath,
        readOnly: z.boolean().optional(),
        detail: volume.optional(),
      }),
    )
    .optional(),
  files: z
    .array(
      z.strictObject({
        path: absolutePath,
        filename: text,
        perm: z
          .string()
          .regex(/^[0-7]{3,4}$/, 'must be octal, such as "0644"')
          .transform((octal) => Number.parseInt(octal, 8))
          .optional(),
        user: owner.optional(),
        group: owner.optional(),
      }),
    )
    .optional(),
  user: z
    .union([
      text,
      z.strictObject({
        name: text,
        group: text.optional(),
        additionalGroups: z.array(text).optional(),
      }),
    ])
    .optional(),
  tty: z.boolean().optional(),
  stopSignal: text.optional(),
  ulimits: z.array(z.strictObject({ name: text, soft: z.number().int(), hard: z.number().int() })).optional(),
  sysctl: textMap.optional(),
  labels: textMap.optional(),
  restartPolicy: restartPolicy.optional(),
});

export const hyperPod = z.strictObject({
  id: text.optional(),
  name: text.optional(),
  type: z.literal('pod', 'must be "pod"').optional(),
  hostname: text.optional(),
  containers: z.array(container).min(1, 'a Pod needs at least one container'),
  resource: z
    .strictObject({
      vcpu: z.number().int().nonnegative().optional(),
      memory: z.number().nonnegative().optional(),
    })
    .optional(),
  files: z
    .array(
      z.strictObject({
        name: text.min(1),
        encoding: z.enum(['', 'raw', 'base64']).optional(),
        uri: text.optional(),
        content: text.optional(),
        /** As its documentation also spelled it. */
        contents: text.optional(),
      }),
    )
    .optional(),
  volumes: z.array(volume).optional(),
  interfaces: z
    .array(
      z.strictObject({
        bridge: text.optional(),
        ip: text.optional(),
        mac: text.optional(),
      }),
    )
    .optional(),
  portmappings: z.array(portMapping).optional(),
  dns: z.array(text).optional(),
  dnsOptions: z.array(text).optional(),
  dnsSearch: z.array(text).optional(),
  labels: textMap.optional(),
  log: z.strictObject({ type: text, config: textMap.optional() }).optional(),
  tty: z.boolean().optional(),
  restartPolicy: restartPolicy.optional(),
  services: z
    .array(z.unknown())
    .max(0, 'there are none: publish ports, or let Pods find each other by name on a network')
    .optional(),
});

export type HyperPod = z.infer<typeof hyperPod>;
export type HyperContainer = HyperPod['containers'][number];
export type HyperVolume = NonNullable<HyperPod['volumes']>[number];
