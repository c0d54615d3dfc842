// Provenance of a result (SLSA's provenance v0.2 and v1, as BuildKit fills them): what was asked for, and what it was made of.

import { parseGoBool } from '../../go/bool';
import { parseReference, familiarString } from '../../registry/reference';
import { BuildError } from '../contract/errors';
import { sourceAttributes } from '../contract/llb';
import type { Attestation, LayerDescriptor, Ref, UsedSource } from '../contract/solver';
import { loadGraph, vertexesOf } from '../llb/graph';
import { networkMode } from '../messages/ops';
import { shownGraph, shownSource, stepNames, type ShownGraph, type ShownSource } from './build-config';
import { imageUrl } from './package-url';

export interface ProvenanceFacts {
  readonly ref: Ref;
  /** '' for a graph that no frontend made. */
  readonly frontend: string;
  readonly args: ReadonlyMap<string, string>;
  readonly buildId: string;
  readonly startedMs: number;
  /** `linux/amd64`. */
  readonly builderPlatform: string;
}

interface Material {
  readonly uri: string;
  readonly digest?: Readonly<Record<string, string>>;
}

/** By outputs of steps, `step1:0`: lists of layers, lowest first. */
type ShownLayers = Readonly<Record<string, readonly (readonly LayerDescriptor[])[]>>;

/** What both versions say, each in its words. */
interface Predicate {
  readonly builderId: string;
  readonly materials: readonly Material[];
  readonly configSource: { uri?: string; digest?: Readonly<Record<string, string>>; path?: string };
  readonly parameters: object;
  readonly isComplete: { parameters: boolean; materials: boolean };
  readonly isHermetic: boolean;
  readonly isReproducible: boolean;
  readonly buildConfig: ShownGraph | undefined;
  readonly metadata: { vcs?: Record<string, string>; source?: ShownSource; layers?: ShownLayers };
}

const types = {
  'v0.2': 'https://slsa.dev/provenance/v0.2',
  v1: 'https://slsa.dev/provenance/v1',
} as const;
const modes: Readonly<Record<string, 'min' | 'max'>> = { '': 'max', full: 'max', max: 'max', min: 'min' };
/** Where a build runs is not what it is of. */
const ofHost = ['cgroup-parent', 'image-resolve-mode', 'platform', 'cache-imports'];

/** Throws InvalidArgument for attributes that say nothing. */
export function provenance(
  attributes: ReadonlyMap<string, string>,
  factsOf: () => ProvenanceFacts,
): Attestation {
  const mode = modes[attributes.get('mode') ?? ''];
  if (mode === undefined)
    throw new BuildError('InvalidArgument', `invalid mode ${JSON.stringify(attributes.get('mode'))}`);
  const version = attributes.get('version') ?? 'v0.2';
  if (version !== 'v0.2' && version !== 'v1')
    throw new BuildError('InvalidArgument', `invalid provenance SLSA version: ${version.slice(0, 64)}`);
  const reproducible = attributes.get('reproducible');
  if (reproducible !== undefined && parseGoBool(reproducible) === undefined)
    throw new BuildError(
      'InvalidArgument',
      `failed to parse reproducible flag ${JSON.stringify(reproducible)}`,
    );
  return {
    predicateType: types[version],
    subjects: [],
    inlineOnly: parseGoBool(attributes.get('inline-only') ?? '') ?? false,
    path: attributes.get('filename') ?? 'provenance.json',
    content: async (signal, descriptors) => {
      const facts = factsOf();
      const sources = await facts.ref.sources(signal);
      const layers =
        mode === 'max' && descriptors !== undefined
          ? await shownLayers(facts.ref, descriptors, signal)
          : undefined;
      const predicate = predicateOf(facts, { sources, layers }, mode, {
        builderId: attributes.get('builder-id') ?? '',
        isReproducible: parseGoBool(reproducible ?? '') ?? false,
      });
      const shown = version === 'v1' ? asVersion1(predicate, facts) : asVersion02(predicate, facts);
      return Buffer.from(JSON.stringify(shown));
    },
  };
}

function predicateOf(
  { ref, frontend, args: given }: ProvenanceFacts,
  { sources, layers }: { sources: readonly UsedSource[]; layers: ShownLayers | undefined },
  mode: 'min' | 'max',
  said: Pick<Predicate, 'builderId' | 'isReproducible'>,
): Predicate {
  const materials = sources.flatMap((source) => materialOf(source) ?? []);
  const locals = sources.flatMap(({ op }) => localName(op.identifier) ?? []);
  const { args, configSource, vcs } = splitArgs(given, materials);
  const { secrets, ssh, usesNetwork } = usesOf(ref);
  const shownArgs = Object.entries(args).filter(
    ([key]) => mode === 'max' || !/^(build-arg|label):/.test(key),
  );
  const isWhole = shownArgs.length === Object.keys(args).length;
  const hasAllMaterials = locals.length === 0;
  const source = mode === 'max' ? shownSource(ref.definition) : undefined;
  return {
    ...said,
    materials: unique(materials),
    configSource,
    parameters: {
      ...(frontend === '' ? {} : { frontend }),
      ...(shownArgs.length === 0 ? {} : { args: Object.fromEntries(shownArgs) }),
      ...(mode === 'max' && secrets.length > 0 ? { secrets } : {}),
      ...(mode === 'max' && ssh.length > 0 ? { ssh } : {}),
      ...(locals.length === 0 ? {} : { locals: [...new Set(locals)].sort().map((name) => ({ name })) }),
    },
    isComplete: { parameters: frontend !== '' && isWhole, materials: hasAllMaterials },
    isHermetic: hasAllMaterials && !usesNetwork,
    buildConfig: mode === 'max' ? shownGraph(ref.definition) : undefined,
    metadata: {
      ...(Object.keys(vcs).length === 0 ? {} : { vcs }),
      ...(source === undefined ? {} : { source }),
      ...(layers === undefined ? {} : { layers }),
    },
  };
}

/** Of steps whose layers all are in the image; undefined where there are none. */
async function shownLayers(
  ref: Ref,
  descriptors: ReadonlyMap<string, LayerDescriptor>,
  signal: AbortSignal,
): Promise<ShownLayers | undefined> {
  const names = stepNames(ref.definition);
  const shown = [...(await ref.stepLayers(signal))].flatMap(([digest, outputs]) =>
    outputs.flatMap((diffIds, index) => {
      const chain = diffIds.map((diffId) => descriptors.get(diffId));
      const known = chain.filter((each) => each !== undefined);
      const name = names.get(digest);
      if (name === undefined || known.length === 0 || known.length < chain.length) return [];
      return [[`${name}:${index}`, [known]] as const];
    }),
  );
  return shown.length === 0 ? undefined : Object.fromEntries(shown);
}

function asVersion02(predicate: Predicate, { buildId, startedMs, builderPlatform }: ProvenanceFacts): object {
  const { configSource, isComplete, isHermetic, isReproducible, buildConfig, metadata } = predicate;
  const { path, ...config } = configSource;
  return {
    builder: { id: predicate.builderId },
    buildType: 'https://mobyproject.org/buildkit@v1',
    ...(predicate.materials.length === 0 ? {} : { materials: predicate.materials }),
    invocation: {
      configSource: { ...config, ...(path === undefined ? {} : { entryPoint: path }) },
      parameters: predicate.parameters,
      environment: { platform: builderPlatform },
    },
    ...(buildConfig === undefined ? {} : { buildConfig }),
    metadata: {
      buildInvocationID: buildId,
      buildStartedOn: new Date(startedMs).toISOString(),
      buildFinishedOn: new Date().toISOString(),
      completeness: { parameters: isComplete.parameters, environment: true, materials: isComplete.materials },
      reproducible: isReproducible,
      'https://mobyproject.org/buildkit@v1#metadata': metadata,
      ...(isHermetic ? { 'https://mobyproject.org/buildkit@v1#hermetic': true } : {}),
    },
  };
}

function asVersion1(predicate: Predicate, { buildId, startedMs, builderPlatform }: ProvenanceFacts): object {
  const { configSource, isComplete, isHermetic, isReproducible, buildConfig, metadata } = predicate;
  return {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      ...(predicate.materials.length === 0 ? {} : { resolvedDependencies: predicate.materials }),
      externalParameters: { configSource, request: predicate.parameters },
      internalParameters: { ...(buildConfig === undefined ? {} : { buildConfig }), builderPlatform },
    },
    runDetails: {
      builder: { id: predicate.builderId },
      metadata: {
        invocationId: buildId,
        startedOn: new Date(startedMs).toISOString(),
        finishedOn: new Date().toISOString(),
        buildkit_metadata: metadata,
        ...(isHermetic ? { buildkit_hermetic: true } : {}),
        buildkit_completeness: { request: isComplete.parameters, resolvedDependencies: isComplete.materials },
        ...(isReproducible ? { buildkit_reproducible: true } : {}),
      },
    },
  };
}

/** Undefined for local files, which have no address. */
function materialOf({ op, platform, metadata }: UsedSource): Material | undefined {
  const { identifier } = op;
  const rest = identifier.slice(identifier.indexOf('://') + '://'.length);
  const { image, git, http } = metadata;
  if (image !== undefined) {
    const own =
      platform === undefined
        ? undefined
        : { os: platform.OS, architecture: platform.Architecture, variant: platform.Variant };
    const type = identifier.startsWith('oci-layout://') ? 'oci' : 'docker';
    return { uri: imageUrl(withoutDigest(rest), own, type), ...digestSet(image.digest) };
  }
  if (git !== undefined) {
    const uri = redacted(op.attrs.get(sourceAttributes.gitFullUrl) ?? identifier);
    const commit = git.commitChecksum === '' ? git.checksum : git.commitChecksum;
    return { uri, digest: { [commit.length === 64 ? 'sha256' : 'sha1']: commit } };
  }
  if (http !== undefined) return { uri: redacted(identifier), ...digestSet(http.checksum) };
  return undefined;
}

/** The digest is told apart; a name without a tag keeps it. */
function withoutDigest(name: string): string {
  try {
    const { digest, ...reference } = parseReference(name);
    return reference.tag === undefined && digest !== undefined ? name : familiarString(reference);
  } catch {
    return name;
  }
}

function digestSet(digest: string): { digest?: Record<string, string> } {
  const [algorithm = '', hex = ''] = digest.split(':');
  return hex === '' ? {} : { digest: { [algorithm]: hex } };
}

function unique(materials: readonly Material[]): Material[] {
  return [...new Map(materials.map((material) => [JSON.stringify(material), material])).values()];
}

function localName(identifier: string): string | undefined {
  return identifier.startsWith('local://') ? identifier.slice('local://'.length) : undefined;
}

/** What a frontend was told, without what is shown elsewhere. */
function splitArgs(
  given: ReadonlyMap<string, string>,
  materials: readonly Material[],
): { args: Record<string, string>; configSource: Predicate['configSource']; vcs: Record<string, string> } {
  const named = given.get('contextkey') ?? '';
  const contextKey = named === '' ? 'context' : named;
  const args: [string, string][] = [];
  const vcs: [string, string][] = [];
  let configSource: Predicate['configSource'] = {};
  for (const [key, value] of [...given].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (ofHost.includes(key) || key.startsWith('attest:') || key.startsWith('build-arg:BUILDKIT_ATTEST_'))
      continue;
    if (key.startsWith('vcs:')) {
      if (value !== '') vcs.push([key.slice('vcs:'.length), key === 'vcs:source' ? redacted(value) : value]);
    } else if (key === contextKey && value !== '') {
      const uri = redacted(value);
      const digest = materials.find((material) => material.uri === uri)?.digest;
      configSource = { ...configSource, uri, ...(digest === undefined ? {} : { digest }) };
    } else if (key === 'filename' && value !== '') configSource = { ...configSource, path: value };
    else args.push([key, key.startsWith('context:') ? redacted(value) : value]);
  }
  return { args: Object.fromEntries(args), configSource, vcs: Object.fromEntries(vcs) };
}

/** Without a password that the URL has. */
function redacted(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.password === '') return text;
  return text.replace(/\/\/[^@/]*@/, `//${url.username}:xxxxx@`);
}

interface Used {
  readonly id: string;
  readonly optional?: true;
}

/** What steps are given besides files. */
function usesOf({ definition }: Ref): {
  secrets: readonly Used[];
  ssh: readonly Used[];
  usesNetwork: boolean;
} {
  const secrets = new Map<string, Used>();
  const ssh = new Map<string, Used>();
  let usesNetwork = false;
  const note = (to: Map<string, Used>, id: string, optional: boolean): void => {
    const before = to.get(id);
    const isOptional = optional && (before === undefined || before.optional === true); // all uses are
    to.set(id, isOptional ? { id, optional: true } : { id });
  };
  const edge = loadGraph(definition);
  for (const { op } of edge === undefined ? [] : vertexesOf(edge)) {
    if (op.op?.kind !== 'exec') continue;
    const { mounts, secretenv, network } = op.op.value;
    for (const { secretOpt, SSHOpt } of mounts) {
      if (secretOpt !== undefined) note(secrets, secretOpt.ID, secretOpt.optional);
      if (SSHOpt !== undefined) note(ssh, SSHOpt.ID, SSHOpt.optional);
    }
    for (const { ID, optional } of secretenv) note(secrets, ID, optional);
    if (network !== networkMode.none) usesNetwork = true;
  }
  return { secrets: [...secrets.values()], ssh: [...ssh.values()], usesNetwork };
}
