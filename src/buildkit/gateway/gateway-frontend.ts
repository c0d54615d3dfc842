// gateway/: frontends of others.
//
// `gateway.v0`: an image is the frontend. It runs as a container that nobody sees, in a VM of its own, with BuildKit's network for steps. Its
// standard input and output are an HTTP/2 connection on which it asks the same bridge as clients do; what it asks for is its build's and
// no other's.

import { settlesWithin } from '../../async/deadline';
import { errorMessage } from '../../errors';
import { parseGoBool } from '../../go/bool';
import { log } from '../../log';
import { familiarName, parseReference } from '../../registry/reference';
import { BuildError } from '../contract/errors';
import type { Bridge, Frontend, FrontendRequest } from '../contract/frontend';
import { sourceAttributes, type Definition, type ExecOp } from '../contract/llb';
import type { Ref, Result, Solver } from '../contract/solver';
import { bridgeHandlers } from '../control/bridge-service';
import { workersJson, type WorkerInfo } from '../control/capabilities';
import { grpcErrorOf } from '../control/status';
import { isOurFrontend } from '../frontend/options/our-names';
import { digestOf } from '../llb/graph';
import { imageProcess } from '../llb/image-process';
import { LLBBridge } from '../messages/gateway';
import { Health, healthStatus } from '../messages/google';
import { Definition as DefinitionMessage, mountType, networkMode, Op, securityMode } from '../messages/ops';
import { Routes, serveGrpc } from '../wire/server';
import { FrontendBridge } from './frontend-bridge';
import { StdioConnection } from './stdio-connection';

const ours = 'dockerfile.v0';
/** Of a frontend that fails without a word to us: the end of what it wrote. */
const maxErrorBytes = 4096;
/** A frontend may ask for others, which ask for others: each is a VM. */
const maxOfBuild = 8;
const lingerMs = 30_000;
const metadataPath = '/run/config/buildkit/metadata/frontend.bin';
const labels = {
  capabilities: 'moby.buildkit.frontend.caps',
  noNetwork: 'moby.buildkit.frontend.network.none',
} as const;
/** Graphs of named contexts go by this one. */
const inputsCapability = 'moby.buildkit.frontend.inputs';

export interface GatewayParts {
  readonly solver: Solver;
  readonly worker: WorkerInfo;
  /** How long a frontend may go on when it has closed its connection, or has said what is no HTTP/2. */
  readonly lingerMs?: number;
}

interface FrontendImage {
  readonly ref: Ref;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly labels: ReadonlyMap<string, string>;
}

export class GatewayFrontend implements Frontend {
  readonly name = 'gateway.v0';
  readonly #parts: GatewayParts;
  readonly #lingerMs: number;
  readonly #running = new WeakMap<object, number>();

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#lingerMs = parts.lingerMs ?? lingerMs;
  }

  async solve(bridge: Bridge, request: FrontendRequest, signal: AbortSignal): Promise<Result> {
    const source = request.options.get('source') ?? '';
    if (source === '') throw new BuildError('InvalidArgument', 'no source specified for gateway');
    if (isOurFrontend(source)) {
      const options = new Map([['cmdline', source], ...request.options]);
      return bridge.solve(
        { what: { kind: 'frontend', name: ours, request: { ...request, options } } },
        signal,
      );
    }
    const count = this.#running.get(bridge) ?? 0;
    if (count >= maxOfBuild)
      throw new BuildError('ResourceExhausted', 'the build has too many frontends at once');
    this.#running.set(bridge, count + 1);
    try {
      const image = await loadImage(bridge, imageOf(source, request), signal);
      requireCapabilities(image, request);
      return await this.#run(image, bridge, request, signal);
    } finally {
      this.#running.set(bridge, (this.#running.get(bridge) ?? 1) - 1);
    }
  }

  async #run(
    image: FrontendImage,
    bridge: Bridge,
    request: FrontendRequest,
    signal: AbortSignal,
  ): Promise<Result> {
    const { solver, worker } = this.#parts;
    const over = new AbortController();
    const caller = new FrontendBridge(bridge, request.inputs, AbortSignal.any([signal, over.signal]));
    const connection = await StdioConnection.open();
    const routes = new Routes()
      .add(LLBBridge, bridgeHandlers({ solver, worker, callerOf: () => Promise.resolve(caller) }))
      .add(Health, { Check: () => Promise.resolve({ status: healthStatus.serving }) });
    const served = serveGrpc(connection.served, { routes, toError: grpcErrorOf });
    let said = Buffer.alloc(0);
    const output = {
      write: (stream: 'stdout' | 'stderr', bytes: Buffer): void | Promise<void> => {
        if (stream === 'stdout') return connection.fromProcess(bytes);
        said = Buffer.concat([said, bytes]).subarray(-maxErrorBytes);
        log.debug('a frontend says', { text: bytes.toString() });
      },
      input: connection.forProcess,
    };
    const givenUp = new AbortController();
    const until = AbortSignal.any([signal, givenUp.signal]);
    const running = bridge.runContainer(this.#container(image, bridge, request), output, until);
    const exited = running.catch(() => undefined);
    void served.closed.then(async () => {
      if (await settlesWithin(exited, this.#lingerMs)) return;
      givenUp.abort(new BuildError('Unknown', 'frontend grpc server closed unexpectedly'));
    });
    let exitCode: number;
    try {
      exitCode = await running;
    } catch (error) {
      // it has done what it was for
      if (caller.given === undefined || !givenUp.signal.aborted || signal.aborted) throw error;
      exitCode = 0;
    } finally {
      over.abort(new BuildError('Cancelled', 'the frontend has ended'));
      connection.close();
      await served.closed;
      await caller.containers.releaseAll();
    }
    const { given } = caller;
    // what it failed with by its own word counts more than its end, and that more than a result
    if (given instanceof BuildError) throw given;
    if (exitCode !== 0)
      throw new BuildError('Unknown', withText(`frontend process exited with code ${exitCode}`, said));
    if (given === undefined)
      throw new BuildError('Unknown', withText('no result for incomplete build', said));
    return given;
  }

  #container(
    { ref, args, env, workingDir, labels: imageLabels }: FrontendImage,
    { sessionId }: Bridge,
    { options }: FrontendRequest,
  ): Parameters<Bridge['runContainer']>[0] {
    const { solver, worker } = this.#parts;
    const isAlone = parseGoBool(imageLabels.get(labels.noNetwork) ?? '') === true;
    const op: ExecOp = {
      meta: {
        ...{
          args: [...args],
          cwd: workingDir,
          user: '',
          hostname: '',
          cgroupParent: '',
          proxy_env: undefined,
        },
        env: [
          ...env,
          ...[...options].map(([key, value], i) => `BUILDKIT_FRONTEND_OPT_${i}=${key}=${value}`),
          `BUILDKIT_SESSION_ID=${sessionId}`,
          `BUILDKIT_WORKERS=${workersJson(worker, solver)}`,
          'BUILDKIT_EXPORTEDPRODUCT=buildkit',
        ],
        ...{ extraHosts: [], ulimit: [], removeMountStubsRecursive: true, validExitCodes: [] },
      },
      mounts: [
        {
          ...{ input: 0, selector: '', dest: '/', output: -1, readonly: false, mountType: mountType.bind },
          ...{ TmpfsOpt: undefined, cacheOpt: undefined, secretOpt: undefined, SSHOpt: undefined },
          ...{ resultID: '', contentCache: 0 },
        },
      ],
      network: isAlone ? networkMode.none : networkMode.sandbox,
      security: securityMode.sandbox,
      secretenv: [],
      cdiDevices: [],
    };
    const content = DefinitionMessage.encode(ref.definition);
    const files = [{ path: metadataPath, content, mode: 0o400 }];
    return { op, refs: [ref], platform: undefined, terminal: false, files };
  }
}

/** A named context may stand for the image. Throws for one that is no image. */
function imageOf(source: string, { options }: FrontendRequest): string {
  const context =
    options.get(`context:${source}`) ??
    options.get(`context:${nameOf(source)}`) ??
    `docker-image://${source}`;
  const [, image] = /^docker-image:\/\/(.+)$/.exec(context) ?? [];
  if (image === undefined)
    throw new BuildError(
      'Unimplemented',
      `the context of frontend ${source.slice(0, 300)} has to be an image: docker-image://…`,
    );
  return image;
}

function nameOf(source: string): string {
  try {
    return familiarName(parseReference(source));
  } catch (error) {
    throw new BuildError(
      'InvalidArgument',
      `failed to parse ${source.slice(0, 300)}: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

async function loadImage(bridge: Bridge, image: string, signal: AbortSignal): Promise<FrontendImage> {
  const { ref: pinned, config } = await bridge.resolveImageConfig(
    image,
    { mode: 'default', logName: `resolve image config for docker-image://${image}` },
    signal,
  );
  const definition = imageDefinition(pinned);
  const { ref } = await bridge.solve({ what: { kind: 'definition', definition } }, signal);
  if (ref === undefined) throw new BuildError('Unknown', "gateway source didn't return default result");
  const { entrypoint, workingDir, env, labels: given } = imageProcess(config, image);
  return {
    ref,
    env,
    labels: given,
    args: entrypoint.length > 0 ? entrypoint : ['/run'],
    workingDir: workingDir === '' ? '/' : workingDir,
  };
}

/** The image as a graph: its record in the cache is of kind `frontend`. */
function imageDefinition(image: string): Definition {
  const attrs = [[sourceAttributes.imageRecordType, 'frontend']] as const;
  const source = Op.encode({
    op: { kind: 'source', value: { identifier: `docker-image://${image}`, attrs } },
  });
  const result = Op.encode({ inputs: [{ digest: digestOf(source), index: 0 }] });
  return { def: [source, result], metadata: new Map(), Source: undefined };
}

/** Throws Unimplemented for what the frontend doesn't say that it does. */
function requireCapabilities(image: FrontendImage, { options, inputs }: FrontendRequest): void {
  const known = listOf(image.labels.get(labels.capabilities));
  const wanted = [...listOf(options.get('frontend.caps')), ...(inputs.size > 0 ? [inputsCapability] : [])];
  const missing = wanted.find((capability) => !known.includes(capability));
  if (missing === undefined) return;
  throw new BuildError('Unimplemented', `unsupported frontend capability ${missing}`, {
    details: [{ kind: 'frontendCapability', name: missing }],
  });
}

function listOf(text = ''): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

function withText(message: string, said: Buffer): string {
  const text = said.toString().trim();
  return text === '' ? message : `${message}: ${text}`;
}
