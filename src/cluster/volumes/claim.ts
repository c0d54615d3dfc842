// A volume is a PersistentVolumeClaim: the claim is all that is kept of it, so every daemon in front of the namespace sees the same ones.
// Pure.

import { createHash } from 'node:crypto';
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { Volume } from '../../docker/types';
import { DaemonError } from '../../errors';

/** Where claims come from, as the operator says. */
export interface ClaimSettings {
  /** '': the cluster's default class. */
  storageClass: string;
  accessMode: 'ReadWriteOnce' | 'ReadWriteMany';
  /** As Kubernetes writes quantities: `10Gi`. */
  size: string;
}

export interface VolumeRequest {
  name: string;
  labels: Record<string, string> | null;
  options: Record<string, string> | null;
  anonymous: boolean;
  /** Made by a create whose container nobody has seen yet. */
  pending?: boolean;
}

export const volumeLabel = 'caisson.io/volume';
const nameAnnotation = 'caisson.io/name';
const detailsAnnotation = 'caisson.io/volume';
export const pendingAnnotation = 'caisson.io/pending';

/** What Docker tells of a volume and Kubernetes has no field for. */
interface VolumeDetails {
  labels: Record<string, string> | null;
  options: Record<string, string> | null;
  anonymous: boolean;
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
/** Of the `local` driver. They speak of directories and devices of one machine, which here none is. */
const localOptions = ['type', 'o', 'device'];

/** Of the claim's object: names of volumes have characters that objects' names may not. */
export function claimName(volumeName: string): string {
  return `volume-${createHash('sha256').update(volumeName).digest('hex').slice(0, 40)}`;
}

/** Throws Docker's refusals, and those of what a cluster can't have. */
export function claimOf(
  { name, labels, options, anonymous, pending = false }: VolumeRequest,
  settings: ClaimSettings,
  managed: Readonly<Record<string, string>>,
): V1PersistentVolumeClaim {
  requireValidName(name);
  const size = sizeOf(name, options) ?? settings.size;
  const details: VolumeDetails = { labels, options, anonymous };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(name),
      labels: { ...managed, [volumeLabel]: 'true' },
      annotations: {
        [nameAnnotation]: name,
        [detailsAnnotation]: JSON.stringify(details),
        ...(pending ? { [pendingAnnotation]: 'true' } : {}),
      },
    },
    spec: {
      accessModes: [settings.accessMode],
      resources: { requests: { storage: size } },
      ...(settings.storageClass === '' ? {} : { storageClassName: settings.storageClass }),
    },
  };
}

export function requireValidName(name: string): void {
  if (namePattern.test(name)) return;
  const text =
    Buffer.byteLength(name) === 1
      ? 'volume name is too short, names should be at least two alphanumeric characters'
      : `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
  throw new DaemonError('InvalidParameter', `create ${name}: ${text}`);
}

/** Bytes asked for (`size=10g`), as a quantity; undefined: none. */
function sizeOf(name: string, options: Record<string, string> | null): string | undefined {
  for (const option of Object.keys(options ?? {})) {
    if (localOptions.includes(option)) {
      throw new DaemonError(
        'InvalidParameter',
        `create ${name}: option "${option}" is not supported on a cluster: a volume is a PersistentVolumeClaim, and whatever it lies on is its storage class's choice`,
      );
    }
    if (option !== 'size') {
      throw new DaemonError('InvalidParameter', `create ${name}: invalid option: "${option}"`);
    }
  }
  const text = options?.['size'];
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const bytes = Number(match?.[1] ?? 0) * 1024 ** ' kmgtp'.indexOf((match?.[2] ?? '').toLowerCase() || ' ');
  if (match === null || !Number.isSafeInteger(Math.round(bytes)) || (bytes > 0 && bytes < 1))
    throw new DaemonError('InvalidParameter', `create ${name}: invalid size: '${text}'`);
  // no limit, for dockerd
  return bytes === 0 ? undefined : String(Math.round(bytes));
}

/** A claim of ours, as a volume. */
export interface ClaimedVolume extends VolumeRequest {
  claim: string;
  /** RFC 3339 in UTC, whole seconds. */
  createdAt: string;
  /** Its size as the cluster has made it, or as it was asked for; 0 where that can't be read. */
  storageClass: string;
}

/** Undefined: not one of ours. */
export function volumeOf({ metadata, spec }: V1PersistentVolumeClaim): ClaimedVolume | undefined {
  const name = metadata?.annotations?.[nameAnnotation];
  if (name === undefined || metadata?.name === undefined) return undefined;
  const details = readDetails(metadata.annotations?.[detailsAnnotation]);
  const created = metadata.creationTimestamp ?? new Date(0);
  return {
    name,
    claim: metadata.name,
    createdAt: `${new Date(created).toISOString().slice(0, 19)}Z`,
    storageClass: spec?.storageClassName ?? '',
    pending: metadata.annotations?.[pendingAnnotation] !== undefined,
    ...details,
  };
}

/** Whoever may write the namespace may have written anything. */
function readDetails(text = '{}'): VolumeDetails {
  let value: Partial<VolumeDetails>;
  try {
    value = Object(JSON.parse(text)) as Partial<VolumeDetails>; // each member is looked at below
  } catch {
    value = {};
  }
  return {
    labels: texts(value.labels),
    options: texts(value.options),
    anonymous: value.anonymous === true,
  };
}

function texts(value: unknown): Record<string, string> | null {
  if (typeof value !== 'object' || value === null) return null;
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** As inspect and list show it. */
export function shownVolume(volume: ClaimedVolume): Volume {
  return {
    CreatedAt: volume.createdAt,
    Driver: 'local',
    Labels: volume.labels,
    Mountpoint: `pvc/${volume.claim}`,
    Name: volume.name,
    Options: volume.options,
    Scope: 'local',
  };
}
