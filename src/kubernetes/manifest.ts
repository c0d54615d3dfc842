// Kubernetes YAML to typed objects. Nothing is passed over in silence: what is not known is refused with its path, and
// what only a cluster could honour is warned about.

import { parseAllDocuments } from 'yaml';
import { ManifestError } from './manifest-error';
import { describeIssues } from './schema/issues';
import {
  clusterOnlyFields,
  type PodSpec,
  warnedContainerFields,
  warnedMountFields,
  warnedWorkloadFields,
} from './schema/pod';
import { type Manifest, manifestSchemas, type Kind } from './schema/workload';

export interface ParsedManifests {
  manifests: Manifest[];
  warnings: string[];
}

/** The limit of an API server's request; a file of Pods is far smaller. */
const maxBytes = 3 * 1024 * 1024;
/** YAML aliases can make a small file a huge one. */
const maxAliases = 1000;

/** Any keys will do, or those of pull secrets, which are looked at where they are used. */
const untypedSecrets = ['Opaque', 'kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'];

/** All documents of a file: YAML, JSON, and `kind: List`. Throws ManifestError. */
export function parseManifests(text: string): ParsedManifests {
  if (Buffer.byteLength(text) > maxBytes)
    throw new ManifestError(`the file is larger than ${maxBytes} bytes`);
  const manifests: Manifest[] = [];
  const warnings: string[] = [];
  for (const [index, value] of readDocuments(text).entries()) {
    const { manifest, warnings: more } = parseManifest(value, `document ${index + 1}`);
    manifests.push(manifest);
    warnings.push(...more);
  }
  refuseTwice(manifests);
  return { manifests, warnings };
}

function readDocuments(text: string): unknown[] {
  const documents = parseAllDocuments(text, { version: '1.1' });
  if ('empty' in documents) return [];
  const values = documents.map((document, index) => {
    const [error] = document.errors;
    if (error !== undefined) throw new ManifestError(`document ${index + 1}: ${error.message}`);
    try {
      return document.toJS({ maxAliasCount: maxAliases }) as unknown;
    } catch (thrown) {
      throw new ManifestError(`document ${index + 1}: ${(thrown as Error).message}`);
    }
  });
  return values.filter((value) => value !== null && value !== undefined).flatMap(listItems);
}

/** What `kubectl get -o yaml` writes for several objects. */
function listItems(value: unknown): unknown[] {
  if (isObject(value) && value['kind'] === 'List' && Array.isArray(value['items'])) return value['items'];
  return [value];
}

function parseManifest(value: unknown, place: string): { manifest: Manifest; warnings: string[] } {
  if (!isObject(value)) throw new ManifestError(`${place}: is not an object`);
  const kind = value['kind'];
  if (typeof kind !== 'string') throw new ManifestError(`${place}: kind: is missing`);
  if (kind === 'Service') {
    throw new ManifestError(`${place}: kind: a Service needs a cluster; publish ports with hostPort instead`);
  }
  if (!isKnown(kind)) {
    const known = Object.keys(manifestSchemas).join(', ');
    throw new ManifestError(`${place}: kind: ${JSON.stringify(kind)} is not supported; known are ${known}`);
  }
  const where = `${place} (${kind}${nameOf(value)})`;
  const result = manifestSchemas[kind].safeParse(value);
  if (!result.success) throw new ManifestError(`${where}: ${describeIssues(result.error.issues)}`);
  const manifest = result.data;
  return { manifest, warnings: clusterOnlyWarnings(manifest).map((warning) => `${where}: ${warning}`) };
}

function isKnown(kind: string): kind is Kind {
  return Object.hasOwn(manifestSchemas, kind);
}

function nameOf(value: Record<string, unknown>): string {
  const metadata = value['metadata'];
  const name = isObject(metadata) ? metadata['name'] : undefined;
  return typeof name === 'string' ? ` ${JSON.stringify(name)}` : '';
}

function clusterOnlyWarnings(manifest: Manifest): string[] {
  if (manifest.kind === 'Secret') {
    const unchecked = manifest.type !== undefined && !untypedSecrets.includes(manifest.type);
    return unchecked ? ['type: keys that it asks for are not checked'] : [];
  }
  const own = 'spec' in manifest ? given(manifest.spec, warnedWorkloadFields, 'spec') : [];
  const found = podSpecOf(manifest);
  if (found === undefined) return own;
  const { spec, path } = found;
  const containers = (['initContainers', 'containers'] as const).flatMap((list) =>
    (spec[list] ?? []).flatMap((container, index) => [
      ...given(container, warnedContainerFields, `${path}.${list}[${index}]`),
      ...(container.volumeMounts ?? []).flatMap((mount, at) =>
        given(mount, warnedMountFields, `${path}.${list}[${index}].volumeMounts[${at}]`),
      ),
    ]),
  );
  const volumes = (spec.volumes ?? []).flatMap((volume, index) =>
    volume.emptyDir?.sizeLimit === undefined || volume.emptyDir.medium === 'Memory'
      ? []
      : [noEffect(`${path}.volumes[${index}].emptyDir.sizeLimit`)],
  );
  const security = given(spec.securityContext ?? {}, ['fsGroupChangePolicy'], `${path}.securityContext`);
  // What a Pod asks names of is the engine's: dnsConfig changes it, and None asks for no more than that.
  const dns = spec.dnsPolicy?.startsWith('ClusterFirst') === true ? [noEffect(`${path}.dnsPolicy`)] : [];
  return [...own, ...given(spec, clusterOnlyFields, path), ...dns, ...containers, ...volumes, ...security];
}

function given(value: object, fields: readonly string[], path: string): string[] {
  return fields.filter((field) => field in value).map((field) => noEffect(`${path}.${field}`));
}

function noEffect(path: string): string {
  return `${path}: has no effect on a single machine`;
}

function podSpecOf(manifest: Manifest): { spec: PodSpec; path: string } | undefined {
  switch (manifest.kind) {
    case 'Pod':
      return { spec: manifest.spec, path: 'spec' };
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'Job':
      return { spec: manifest.spec.template.spec, path: 'spec.template.spec' };
    default:
      return undefined;
  }
}

function refuseTwice(manifests: readonly Manifest[]): void {
  const seen = new Set<string>();
  for (const { kind, metadata } of manifests) {
    const key = `${kind} "${metadata.name}"`;
    if (seen.has(key)) throw new ManifestError(`${key} is there twice`);
    seen.add(key);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
