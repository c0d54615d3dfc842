// SBOMs: an image scans the files of a result, as a step (BuildKit's docs/attestations/sbom-protocol.md).

import { errorMessage } from '../../errors';
import { parseGoBool } from '../../go/bool';
import { fullString, parseReference } from '../../registry/reference';
import { BuildError } from '../contract/errors';
import type { Bridge } from '../contract/frontend';
import type { Definition, Platform } from '../contract/llb';
import type { AttestationBundle, Ref } from '../contract/solver';
import { digestOf, loadGraph } from '../llb/graph';
import { imageProcess } from '../llb/image-process';
import { mountType, Op, type OpInit } from '../messages/ops';

export const spdxType = 'https://spdx.dev/Document';

const defaultGenerator = 'docker/buildkit-syft-scanner:stable-1';
const destination = '/run/out/';
/** The file without its extension is the main one of its bundle. */
const coreName = 'sbom';
const source = `/run/src/core/${coreName}`;
const extrasSource = '/run/src/extras';
/** Of the attestation, not of its scanner. */
const ownAttributes = ['generator', 'inline-only', 'disabled'];

/** `extras`: stages and contexts that are scanned beside the result, by names. */
export type Scanner = (
  name: string,
  what: { ref: Ref; extras: ReadonlyMap<string, Definition> },
  signal: AbortSignal,
) => Promise<AttestationBundle>;

/** Of a build's `attest:sbom`, with its options. Rejects where there is no such image. */
export async function scannerOf(
  attributes: ReadonlyMap<string, string>,
  options: ReadonlyMap<string, string>,
  bridge: Bridge,
  signal: AbortSignal,
): Promise<Scanner> {
  const generator = attributes.get('generator') ?? defaultGenerator;
  if (generator === '') throw new BuildError('InvalidArgument', 'sbom generator cannot be empty');
  const [platform] = bridge.platforms;
  const asked = {
    ...(platform === undefined ? {} : { platform }),
    mode: options.get('image-resolve-mode') === 'pull' ? ('pull' as const) : ('default' as const),
    logName: `[internal] load metadata for ${generator}`,
  };
  const { ref: image, config } = await bridge.resolveImageConfig(imageName(generator), asked, signal);
  const { entrypoint, cmd, env, workingDir } = imageProcess(config, generator);
  const args = [...entrypoint, ...cmd];
  if (args.length === 0) throw new BuildError('InvalidArgument', `scanner ${generator} does not have cmd`);
  const parameters = [...attributes].filter(([key]) => !ownAttributes.includes(key));
  const scan = {
    image,
    platform,
    args,
    workingDir,
    env: [
      ...env,
      `BUILDKIT_SCAN_DESTINATION=${destination}`,
      `BUILDKIT_SCAN_SOURCE=${source}`,
      ...parameters.map(([key, value]) => `BUILDKIT_SCAN_${key}=${value}`),
    ],
    isFresh: options.get('no-cache') === '',
  };
  const inlineOnly = parseGoBool(attributes.get('inline-only') ?? '') ?? false;
  return async (name, { ref, extras }, until) => {
    const title = `[${name}] generating sbom using ${image}`;
    const definition = scanGraph(ref.definition, extras, { ...scan, title });
    const { ref: made } = await bridge.solve({ what: { kind: 'definition', definition } }, until);
    if (made === undefined) throw new BuildError('Internal', 'a scan without a result');
    return { ref: made, path: '/', predicateType: spdxType, coreName, inlineOnly };
  };
}

function imageName(generator: string): string {
  try {
    const reference = parseReference(generator);
    const isBare = reference.tag === undefined && reference.digest === undefined;
    return fullString(isBare ? { ...reference, tag: 'latest' } : reference);
  } catch (error) {
    const why = `failed to parse sbom generator ${generator.slice(0, 300)}: ${errorMessage(error)}`;
    throw new BuildError('InvalidArgument', why, { cause: error });
  }
}

/** The scanner's command, with the files of the graphs' results mounted; its result is what the command writes. */
function scanGraph(
  scanned: Definition,
  extras: ReadonlyMap<string, Definition>,
  scan: {
    image: string;
    platform: Platform | undefined;
    args: readonly string[];
    env: readonly string[];
    workingDir: string;
    isFresh: boolean;
    title: string;
  },
): Definition {
  const edge = loadGraph(scanned);
  if (edge === undefined) throw new BuildError('InvalidArgument', 'an empty result can not be scanned');
  const others = [...extras].flatMap(([name, definition]) => {
    const found = loadGraph(definition);
    return found === undefined ? [] : [{ name, edge: found }];
  });
  const extrasEnv = others.length === 0 ? [] : [`BUILDKIT_SCAN_SOURCE_EXTRAS=${extrasSource}`];
  const platform = scan.platform === undefined ? {} : { platform: scan.platform };
  const value = { identifier: `docker-image://${scan.image}`, attrs: [] };
  const image = Op.encode({ op: { kind: 'source', value }, ...platform });
  const exec: NonNullable<OpInit['op']> = {
    kind: 'exec',
    value: {
      meta: {
        args: scan.args,
        env: [...scan.env, ...extrasEnv],
        cwd: scan.workingDir === '' ? '/' : scan.workingDir,
      },
      mounts: [
        { input: 0, dest: '/', output: -1 },
        { input: -1, dest: '/tmp', output: -1, mountType: mountType.tmpfs },
        { input: 1, dest: source, output: -1, readonly: true },
        ...others.map(({ name }, i) => ({
          ...{ input: 2 + i, dest: `${extrasSource}/${coreName}-${name}`, output: -1, readonly: true },
        })),
        { input: -1, dest: destination.replace(/\/$/, ''), output: 0 },
      ],
    },
  };
  const inputs = [
    { digest: digestOf(image), index: 0 },
    { digest: edge.vertex.digest, index: edge.index },
    ...others.map(({ edge: { vertex, index } }) => ({ digest: vertex.digest, index })),
  ];
  const step = Op.encode({ op: exec, inputs, ...platform });
  const result = Op.encode({ inputs: [{ digest: digestOf(step), index: 0 }] });
  const about = {
    ...{ ignore_cache: scan.isFresh, description: new Map([['llb.customname', scan.title]]) },
    ...{ export_cache: undefined, caps: new Map(), progress_group: undefined, linux_resources: undefined },
  };
  const parts = [scanned, ...extras.values()];
  const vertexes = parts.flatMap(({ def }) =>
    def.slice(0, -1).map((bytes) => [digestOf(bytes), bytes] as const),
  );
  return {
    ...scanned,
    def: [...new Map(vertexes).values(), image, step, result],
    metadata: new Map([...parts.flatMap(({ metadata }) => [...metadata]), [digestOf(step), about]]),
  };
}
