// ConfigMaps and Secrets by name, with their values as bytes.

import { ManifestError } from './manifest-error';
import type { Manifest, ManifestOf } from './schema/workload';

export type DataKind = 'ConfigMap' | 'Secret';
export type Data = ReadonlyMap<string, Buffer>;

export class DataObjects {
  readonly #objects = new Map<string, Data>();

  constructor(manifests: readonly Manifest[]) {
    for (const manifest of manifests) {
      if (manifest.kind === 'ConfigMap')
        this.#objects.set(key('ConfigMap', manifest.metadata.name), configData(manifest));
      if (manifest.kind === 'Secret')
        this.#objects.set(key('Secret', manifest.metadata.name), secretData(manifest));
    }
  }

  /** Undefined if there is none and that is allowed. Throws ManifestError. */
  find(kind: DataKind, name: string, optional: boolean | undefined, path: string): Data | undefined {
    const data = this.#objects.get(key(kind, name));
    if (data === undefined && optional !== true)
      throw new ManifestError(`${path}: ${kind} "${name}" is not in the file`);
    return data;
  }

  /** One value. Undefined if it is missing and that is allowed. Throws ManifestError. */
  value(
    kind: DataKind,
    { name, key: entry, optional }: { name: string; key: string; optional?: boolean | undefined },
    path: string,
  ): Buffer | undefined {
    const value = this.find(kind, name, optional, path)?.get(entry);
    if (value === undefined && optional !== true)
      throw new ManifestError(`${path}: ${kind} "${name}" has no key "${entry}"`);
    return value;
  }
}

function key(kind: DataKind, name: string): string {
  return `${kind}/${name}`;
}

function configData({ data = {}, binaryData = {} }: ManifestOf<'ConfigMap'>): Data {
  return new Map([...texts(data), ...base64(binaryData, 'binaryData')]);
}

/** `stringData` wins over `data`, as when an API server takes it. */
function secretData({ data = {}, stringData = {} }: ManifestOf<'Secret'>): Data {
  return new Map([...base64(data, 'data'), ...texts(stringData)]);
}

function texts(values: Record<string, string>): [string, Buffer][] {
  return Object.entries(values).map(([name, value]) => [checkedKey(name), Buffer.from(value)]);
}

function base64(values: Record<string, string>, path: string): [string, Buffer][] {
  return Object.entries(values).map(([name, value]) => {
    const text = value.replace(/\s/g, '');
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
      throw new ManifestError(`${path}.${name}: is not base64`);
    }
    return [checkedKey(name), Buffer.from(text, 'base64')];
  });
}

/** Keys become names of files. */
function checkedKey(name: string): string {
  if (!/^[-._a-zA-Z0-9]{1,253}$/.test(name) || name === '.' || name.startsWith('..')) {
    throw new ManifestError(`data: ${JSON.stringify(name)} is no valid key`);
  }
  return name;
}
