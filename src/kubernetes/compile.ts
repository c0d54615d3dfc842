// kubernetes/: manifests as plans of Pods, without I/O.
//
// Manifests of one file as workloads: how many Pods each has, how they are called, and what they are.

import { DataObjects } from './data-objects';
import { ManifestError } from './manifest-error';
import type { PodPlan, WorkloadPlan } from './plan';
import { planPod, type PodContext, type PodIdentity } from './pod-plan';
import type { PodSpec } from './schema/pod';
import type { Manifest, ManifestOf } from './schema/workload';

export interface Compiled {
  workloads: WorkloadPlan[];
  /** Named volumes of the file's claims, and of those that StatefulSets make. */
  claims: string[];
}

export interface CompileOptions {
  nodeName: string;
  /** Of one Pod; stays the same for the same name. */
  uidOf: (podName: string) => string;
}

const defaultBackoffLimit = 6;

/** Throws ManifestError. */
export function compileManifests(manifests: readonly Manifest[], options: CompileOptions): Compiled {
  const claims = new Map(
    manifests.flatMap(({ kind, metadata }) =>
      kind === 'PersistentVolumeClaim' ? [[metadata.name, metadata.name] as const] : [],
    ),
  );
  const made = new Set(claims.values());
  const base = { data: new DataObjects(manifests), claims };
  const workloads = manifests.flatMap((manifest) => {
    const plan = compileOne(manifest, base, options, made);
    return plan === undefined ? [] : [plan];
  });
  refuseSamePods(workloads);
  return { workloads, claims: [...made] };
}

type Base = Pick<PodContext, 'data' | 'claims'>;

function compileOne(
  manifest: Manifest,
  base: Base,
  options: CompileOptions,
  made: Set<string>,
): WorkloadPlan | undefined {
  switch (manifest.kind) {
    case 'Pod': {
      const pod = planOne(manifest.spec, 'spec', manifest, manifest.metadata.name, base, options);
      return { kind: 'Pod', name: manifest.metadata.name, ordered: false, pods: [pod] };
    }
    case 'Deployment':
      return replicated(manifest, manifest.spec.replicas ?? 1, base, options);
    case 'DaemonSet':
      return replicated(manifest, 1, base, options);
    case 'StatefulSet':
      return statefulSet(manifest, base, options, made);
    case 'Job':
      return job(manifest, base, options);
    case 'ConfigMap':
    case 'Secret':
    case 'PersistentVolumeClaim':
      return undefined;
  }
}

function planOne(
  spec: PodSpec,
  path: string,
  { kind, metadata }: { kind: string; metadata: Manifest['metadata'] },
  name: string,
  base: Base,
  { nodeName, uidOf }: CompileOptions,
  more: { labels?: Record<string, string>; environment?: Record<string, string> } = {},
): PodPlan {
  const own = kind === 'Pod' ? metadata : undefined;
  const identity: PodIdentity = {
    name,
    uid: uidOf(name),
    namespace: metadata.namespace ?? 'default',
    labels: { ...own?.labels, ...more.labels },
    annotations: own?.annotations ?? {},
  };
  const where = `${kind} "${metadata.name}": ${path}`;
  const { environment } = more;
  return planPod(spec, where, identity, {
    ...base,
    nodeName,
    ...(environment === undefined ? {} : { environment }),
  });
}

type WithTemplate = ManifestOf<'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job'>;

function templatePod(
  manifest: WithTemplate,
  name: string,
  base: Base,
  options: CompileOptions,
  environment?: Record<string, string>,
): PodPlan {
  const { template } = manifest.spec;
  const labels = template.metadata?.labels ?? {};
  return planOne(template.spec, 'spec.template.spec', manifest, name, base, options, {
    labels,
    ...(environment === undefined ? {} : { environment }),
  });
}

/** Its selector must choose the Pods of its template, and they are to run for ever. */
function checkTemplate({
  kind,
  metadata,
  spec,
}: ManifestOf<'Deployment' | 'StatefulSet' | 'DaemonSet'>): void {
  const { selector, template } = spec;
  const labels = template.metadata?.labels ?? {};
  const where = `${kind} "${metadata.name}"`;
  for (const [name, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labels[name] !== value) {
      throw new ManifestError(
        `${where}: spec.template.metadata.labels: don't match the selector's ${name}=${value}`,
      );
    }
  }
  if ((template.spec.restartPolicy ?? 'Always') !== 'Always') {
    throw new ManifestError(`${where}: spec.template.spec.restartPolicy: must be Always`);
  }
}

function replicated(
  manifest: ManifestOf<'Deployment' | 'DaemonSet'>,
  replicas: number,
  base: Base,
  options: CompileOptions,
): WorkloadPlan {
  checkTemplate(manifest);
  const { name } = manifest.metadata;
  const pods = Array.from({ length: replicas }, (_, index) =>
    templatePod(manifest, `${name}-${index}`, base, options),
  );
  return { kind: manifest.kind, name, ordered: false, pods };
}

function statefulSet(
  manifest: ManifestOf<'StatefulSet'>,
  base: Base,
  options: CompileOptions,
  made: Set<string>,
): WorkloadPlan {
  checkTemplate(manifest);
  const { metadata, spec } = manifest;
  const first = spec.ordinals?.start ?? 0;
  const templates = spec.volumeClaimTemplates ?? [];
  // A claim's volume is mounted by the name of its template.
  const volumes = templates.map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: name },
  }));
  const template = {
    ...spec.template,
    spec: { ...spec.template.spec, volumes: [...(spec.template.spec.volumes ?? []), ...volumes] },
  };
  const pods = Array.from({ length: spec.replicas ?? 1 }, (_, index) => {
    const podName = `${metadata.name}-${first + index}`;
    const claims = new Map(base.claims);
    for (const { metadata: claim } of templates) {
      claims.set(claim.name, `${claim.name}-${podName}`);
      made.add(`${claim.name}-${podName}`);
    }
    return templatePod({ ...manifest, spec: { ...spec, template } }, podName, { ...base, claims }, options);
  });
  return {
    kind: 'StatefulSet',
    name: metadata.name,
    ordered: (spec.podManagementPolicy ?? 'OrderedReady') === 'OrderedReady',
    pods,
  };
}

function job(manifest: ManifestOf<'Job'>, base: Base, options: CompileOptions): WorkloadPlan {
  const { metadata, spec } = manifest;
  const policy = spec.template.spec.restartPolicy;
  if (policy !== 'OnFailure' && policy !== 'Never') {
    throw new ManifestError(
      `Job "${metadata.name}": spec.template.spec.restartPolicy: must be OnFailure or Never`,
    );
  }
  const indexed = spec.completionMode === 'Indexed';
  const parallelism = spec.parallelism ?? 1;
  if (indexed && spec.completions === undefined) {
    throw new ManifestError(`Job "${metadata.name}": spec.completions: an Indexed Job needs them`);
  }
  const pods = Array.from({ length: spec.completions ?? Math.max(parallelism, 1) }, (_, index) =>
    templatePod(
      manifest,
      `${metadata.name}-${index}`,
      base,
      options,
      indexed ? { JOB_COMPLETION_INDEX: String(index) } : undefined,
    ),
  );
  return {
    kind: 'Job',
    name: metadata.name,
    ordered: false,
    pods,
    job: {
      parallelism,
      backoffLimit: spec.backoffLimit ?? defaultBackoffLimit,
      ...(spec.activeDeadlineSeconds === undefined
        ? {}
        : { activeDeadlineSeconds: spec.activeDeadlineSeconds }),
    },
  };
}

function refuseSamePods(workloads: readonly WorkloadPlan[]): void {
  const seen = new Set<string>();
  for (const { kind, name, pods } of workloads) {
    for (const { template } of pods) {
      if (seen.has(template.name)) {
        throw new ManifestError(`${kind} "${name}": another workload has a Pod "${template.name}" too`);
      }
      seen.add(template.name);
    }
  }
}
