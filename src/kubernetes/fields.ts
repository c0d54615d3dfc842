// fieldRef: what a container may ask about its Pod.

import { ManifestError } from './manifest-error';

export interface PodFields {
  name: string;
  uid: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** There is one node: this machine. */
  nodeName: string;
  serviceAccountName: string;
}

/** A container's environment is made before its Pod has an address. */
const runtimeFields: ReadonlySet<string> = new Set([
  'status.podIP',
  'status.podIPs',
  'status.hostIP',
  'status.hostIPs',
]);

/** The field's text. Throws ManifestError for a field there is not. */
export function podField(fieldPath: string, fields: PodFields, path: string): string {
  if (runtimeFields.has(fieldPath)) {
    throw new ManifestError(
      `${path}.fieldPath: ${fieldPath} is not known before the Pod runs, and is not supported`,
    );
  }
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath);
  if (subscript !== null) {
    const [, map, key = ''] = subscript;
    return (map === 'labels' ? fields.labels : fields.annotations)[key] ?? '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return fields.name;
    case 'metadata.uid':
      return fields.uid;
    case 'metadata.namespace':
      return fields.namespace;
    case 'spec.nodeName':
      return fields.nodeName;
    case 'spec.serviceAccountName':
      return fields.serviceAccountName;
    case 'metadata.labels':
      return asLines(fields.labels);
    case 'metadata.annotations':
      return asLines(fields.annotations);
    default:
      throw new ManifestError(`${path}.fieldPath: ${JSON.stringify(fieldPath)} is not supported`);
  }
}

/** The downward API's form: `key="value"`, sorted. */
function asLines(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}
