// volumes of a Pod: directories in memory or on disk, of the host, of a claim, or of files made from data.

import type { DataObjects, Data, DataKind } from './data-objects';
import { podField, type PodFields } from './fields';
import { ManifestError } from './manifest-error';
import type { FilePlan, VolumePlan } from './plan';
import { parseBytes } from './quantity';
import type { PodSpec, Volume } from './schema/pod';

interface VolumeContext {
  data: DataObjects;
  fields: PodFields;
  fsGroup: number | undefined;
  /** Names of the file's claims; others must exist already, which the engine sees. */
  claims: ReadonlyMap<string, string>;
  podName: string;
}

const defaultMode = 0o644;

/** Throws ManifestError. */
export function planVolumes(spec: PodSpec, path: string, context: VolumeContext): VolumePlan[] {
  const seen = new Set<string>();
  return (spec.volumes ?? []).map((volume, index) => {
    const place = `${path}.volumes[${index}]`;
    if (seen.has(volume.name)) throw new ManifestError(`${place}.name: "${volume.name}" is there twice`);
    seen.add(volume.name);
    const source = planSource(volume, place, context);
    const volumeName = source.kind === 'claim' ? source.claimName : `${context.podName}-${volume.name}`;
    return {
      name: volume.name,
      ...(source.kind === 'host' || source.kind === 'memory' ? {} : { volumeName }),
      ...(context.fsGroup === undefined || source.kind === 'host' ? {} : { fsGroup: context.fsGroup }),
      subPaths: [],
      source,
    };
  });
}

function planSource(volume: Volume, path: string, context: VolumeContext): VolumePlan['source'] {
  const given = Object.entries(volume).filter(([field, source]) => field !== 'name' && source !== undefined);
  // no source at all is an emptyDir, as Kubernetes reads it
  if (given.length > 1) throw new ManifestError(`${path}: has several sources`);
  const { hostPath, persistentVolumeClaim: claim, configMap, secret, downwardAPI, projected } = volume;
  if (hostPath !== undefined) return { kind: 'host', path: hostPath.path, type: hostPath.type ?? '' };
  if (claim !== undefined) {
    const claimName = context.claims.get(claim.claimName) ?? claim.claimName;
    const declared = context.claims.has(claim.claimName);
    return { kind: 'claim', claimName, readOnly: claim.readOnly ?? false, declared };
  }
  const files = new FileCollector(context, path);
  if (configMap !== undefined) {
    files.add('ConfigMap', configMap, configMap.defaultMode, `${path}.configMap`);
    return files.source();
  }
  if (secret !== undefined) {
    files.add('Secret', { ...secret, name: secret.secretName }, secret.defaultMode, `${path}.secret`);
    return files.source();
  }
  if (downwardAPI !== undefined) {
    files.addFields(downwardAPI.items, downwardAPI.defaultMode, `${path}.downwardAPI`);
    return files.source();
  }
  if (projected !== undefined) {
    projected.sources.forEach((source, index) => {
      const place = `${path}.projected.sources[${index}]`;
      if (source.configMap !== undefined)
        files.add('ConfigMap', source.configMap, projected.defaultMode, place);
      if (source.secret !== undefined) files.add('Secret', source.secret, projected.defaultMode, place);
      if (source.downwardAPI !== undefined)
        files.addFields(source.downwardAPI.items, projected.defaultMode, place);
    });
    return files.source();
  }
  return planEmptyDir(volume.emptyDir ?? {}, `${path}.emptyDir`);
}

function planEmptyDir(
  { medium, sizeLimit }: { medium?: string | undefined; sizeLimit?: string | number | undefined },
  path: string,
): VolumePlan['source'] {
  const size = sizeLimit === undefined ? {} : { sizeBytes: parseBytes(sizeLimit, `${path}.sizeLimit`) };
  return { kind: medium === 'Memory' ? 'memory' : 'empty', ...size };
}

interface DataSource {
  name: string;
  items?: { key: string; path: string; mode?: number | undefined }[] | undefined;
  optional?: boolean | undefined;
}

/** Files of one volume. Two of one path are refused. */
class FileCollector {
  readonly #files = new Map<string, FilePlan>();
  readonly #context: VolumeContext;
  readonly #path: string;

  constructor(context: VolumeContext, path: string) {
    this.#context = context;
    this.#path = path;
  }

  add(kind: DataKind, { name, items, optional }: DataSource, mode: number | undefined, path: string): void {
    const data: Data | undefined = this.#context.data.find(kind, name, optional, path);
    if (data === undefined) return;
    if (items === undefined) {
      for (const [key, content] of data) this.#put(key, mode, content);
      return;
    }
    for (const { key, path: target, mode: own } of items) {
      const content = this.#context.data.value(kind, { name, key, optional }, path);
      if (content !== undefined) this.#put(target, own ?? mode, content);
    }
  }

  addFields(
    items: { path: string; mode?: number | undefined; fieldRef: { fieldPath: string } }[] = [],
    mode: number | undefined,
    path: string,
  ): void {
    for (const { path: target, mode: own, fieldRef } of items) {
      const value = podField(fieldRef.fieldPath, this.#context.fields, path);
      this.#put(target, own ?? mode, Buffer.from(value));
    }
  }

  source(): VolumePlan['source'] {
    return { kind: 'files', files: [...this.#files.values()] };
  }

  #put(path: string, mode: number | undefined, content: Buffer): void {
    const parts = path.split('/');
    if (
      path === '' ||
      path.startsWith('/') ||
      parts.some((part) => part === '' || part === '.' || part === '..')
    ) {
      throw new ManifestError(`${this.#path}: ${JSON.stringify(path)} must be a relative path without ".."`);
    }
    if (this.#files.has(path))
      throw new ManifestError(`${this.#path}: two sources give ${JSON.stringify(path)}`);
    this.#files.set(path, { path, mode: mode ?? defaultMode, content });
  }
}
