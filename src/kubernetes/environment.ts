// env and envFrom of a container. What is known is put in; what a running Pod only knows is left for then.

import type { DataObjects, DataKind } from './data-objects';
import { podField, type PodFields } from './fields';
import { ManifestError } from './manifest-error';
import { resourceValue } from './resources';
import type { Container, EnvFrom, EnvVar } from './schema/container';
import { expandVariables } from './variables';

/** In order: a value may name variables before it. */
export interface EnvironmentEntry {
  name: string;
  value: string;
  /** From envFrom and valueFrom: taken as it is. */
  literal: boolean;
}

export interface EnvironmentContext {
  data: DataObjects;
  fields: PodFields;
  /** Of the whole Pod: resourceFieldRef may name another one. */
  containers: readonly Container[];
}

/** Throws ManifestError. */
export function planEnvironment(
  container: Container,
  path: string,
  context: EnvironmentContext,
): EnvironmentEntry[] {
  const from = (container.envFrom ?? []).flatMap((source, index) =>
    allOf(source, `${path}.envFrom[${index}]`, context.data),
  );
  const single = (container.env ?? []).flatMap((variable, index) => {
    const value = valueOf(variable, `${path}.env[${index}]`, container, context);
    return value === undefined
      ? []
      : [{ name: variable.name, value, literal: variable.valueFrom !== undefined }];
  });
  return [...from, ...single];
}

function allOf(source: EnvFrom, path: string, data: DataObjects): EnvironmentEntry[] {
  const entries: EnvironmentEntry[] = [];
  const add = (
    kind: DataKind,
    reference: { name: string; optional?: boolean | undefined },
    place: string,
  ): void => {
    for (const [key, value] of data.find(kind, reference.name, reference.optional, place) ?? []) {
      entries.push({ name: `${source.prefix ?? ''}${key}`, value: value.toString(), literal: true });
    }
  };
  if (source.configMapRef !== undefined) add('ConfigMap', source.configMapRef, `${path}.configMapRef`);
  if (source.secretRef !== undefined) add('Secret', source.secretRef, `${path}.secretRef`);
  return entries;
}

/** Undefined: an optional source that is missing, so that the variable is not set. */
function valueOf(
  { value, valueFrom }: EnvVar,
  path: string,
  container: Container,
  { data, fields, containers }: EnvironmentContext,
): EnvironmentEntry['value'] | undefined {
  if (valueFrom === undefined) return value ?? '';
  const sources = Object.values(valueFrom).filter((source) => source !== undefined);
  if (value !== undefined || sources.length !== 1) {
    throw new ManifestError(`${path}: needs a value or one source in valueFrom, not both and not several`);
  }
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef !== undefined) return podField(fieldRef.fieldPath, fields, `${path}.valueFrom.fieldRef`);
  if (configMapKeyRef !== undefined) {
    return data.value('ConfigMap', configMapKeyRef, `${path}.valueFrom.configMapKeyRef`)?.toString();
  }
  if (secretKeyRef !== undefined) {
    return data.value('Secret', secretKeyRef, `${path}.valueFrom.secretKeyRef`)?.toString();
  }
  if (resourceFieldRef === undefined) return undefined;
  return resourceValue(resourceFieldRef, container, containers, `${path}.valueFrom.resourceFieldRef`);
}

/** The variables by name. A value may name those before it; one that comes twice has its last value. */
export function resolveEnvironment(entries: readonly EnvironmentEntry[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const { name, value, literal } of entries) {
    variables.set(name, literal ? value : expandVariables(value, variables));
  }
  return variables;
}
