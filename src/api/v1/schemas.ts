// JSON schemas of the bodies of /v1. The same as in docs/openapi/caisson-v1.yaml, which a test sees to; references are
// written as that file has them.

import Ajv2020, { type ErrorObject, type ValidateFunction } from 'ajv/dist/2020';
import { DaemonError } from '../../errors';

type JsonSchema = Record<string, unknown>;

const text: JsonSchema = { type: 'string' };
const texts: JsonSchema = { type: 'array', items: text };
const textMap: JsonSchema = { type: 'object', additionalProperties: text };
const flag: JsonSchema = { type: 'boolean' };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const port: JsonSchema = { type: 'integer', minimum: 0, maximum: 65_535 };

function object(properties: Record<string, JsonSchema>, required: readonly string[] = []): JsonSchema {
  return {
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
    properties,
  };
}

function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

export const requestSchemas = {
  PodTemplate: object(
    {
      name: text,
      labels: textMap,
      annotations: textMap,
      hostname: text,
      domainname: text,
      dns: object({ servers: texts, searches: texts, options: texts }),
      extraHosts: texts,
      resources: object({ memoryBytes: count, cpus: count }),
      shareProcessNamespace: flag,
      restartPolicy: object(
        { name: { enum: ['no', 'always', 'on-failure', 'unless-stopped'] }, maximumRetryCount: count },
        ['name'],
      ),
      networks: { type: 'array', items: ref('PodNetwork') },
      portMappings: { type: 'array', items: ref('PodPortMapping') },
      keepVm: flag,
      autoRemove: flag,
      containers: { type: 'array', minItems: 1, items: ref('PodTemplateContainer') },
    },
    ['name', 'containers'],
  ),
  PodNetwork: object({ name: text, aliases: texts, ipv4Address: text, ipv6Address: text, macAddress: text }, [
    'name',
  ]),
  PodPortMapping: object(
    { containerPort: port, hostPort: port, protocol: { enum: ['tcp', 'udp'] }, hostIp: text },
    ['containerPort'],
  ),
  PodTemplateContainer: object(
    { name: text, role: { enum: ['init', 'sidecar', 'main'] }, body: { type: 'object' } },
    ['name', 'body'],
  ),
  PodStartRequest: object({ vmId: text }),
  PodStopRequest: object({ timeoutSeconds: { type: 'integer' }, keepVm: flag }),
  PodReplaceRequest: object({
    pod: text,
    template: ref('PodTemplate'),
    timeoutSeconds: { type: 'integer' },
    keepAddress: flag,
  }),
  VmRunRequest: object({ memoryBytes: count, cpus: count }),
} satisfies Record<string, JsonSchema>;

let ajv: Ajv2020 | undefined;

/** Compiled with its first use: most daemons are never asked for a Pod. */
function validator(name: keyof typeof requestSchemas): ValidateFunction {
  if (ajv === undefined) {
    ajv = new Ajv2020();
    ajv.addVocabulary(['components']);
    ajv.addSchema({ $id: 'caisson-v1', components: { schemas: requestSchemas } });
  }
  const validate = ajv.getSchema(`caisson-v1#/components/schemas/${name}`);
  if (validate === undefined) throw new RangeError(`there is no schema ${name}`);
  return validate;
}

/** Throws InvalidParameter with the path of what is wrong. The caller names the type that the schema stands for. */
export function checkRequest(name: keyof typeof requestSchemas, value: unknown): unknown {
  const validate = validator(name);
  if (validate(value)) return value;
  const [error] = validate.errors ?? [];
  throw new DaemonError(
    'InvalidParameter',
    `invalid ${name}: ${error === undefined ? 'unknown reason' : describe(error)}`,
  );
}

function describe({ instancePath, message = '', keyword, params }: ErrorObject): string {
  const path = instancePath
    .slice(1)
    .replaceAll(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
  const extra: unknown = params['additionalProperty'];
  if (keyword === 'additionalProperties' && typeof extra === 'string') {
    return `${path === '' ? extra : `${path}.${extra}`}: there is no such field`;
  }
  const allowed: unknown = params['allowedValues'];
  const values = Array.isArray(allowed) ? `: ${allowed.join(', ')}` : '';
  return `${path === '' ? '' : `${path} `}${message}${values}`;
}
