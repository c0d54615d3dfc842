// Frontends that are images, whose process the test is.

import { errorMessage } from '../../../../src/errors';
import { socketPair } from '../../../../src/host/socket-pair';
import type { ExecOutput } from '../../../../src/buildkit/contract/executor';
import type { ContainerRun } from '../../../../src/buildkit/contract/solver';
import { Control } from '../../../../src/buildkit/messages/control';
import { LLBBridge } from '../../../../src/buildkit/messages/gateway';
import { networkMode } from '../../../../src/buildkit/messages/ops';
import { GatewayFrontend } from '../../../../src/buildkit/gateway/gateway-frontend';
import { ClientSessions } from '../../../../src/buildkit/session/sessions';
import { GrpcClient } from '../../../../src/buildkit/wire/client';
import { FakeBridge } from '../frontend/fake-bridge';
import { chainOf, fakeBuildKit, FakeSolver } from '../../../support/buildkit/fake-solver';

const bridge = LLBBridge.methods;
const sessions = new ClientSessions();
const solver = new FakeSolver(sessions);
const worker = { id: 'worker', labels: new Map<string, string>(), version: 'v1', dockerfileVersion: '' };
const buildkit = fakeBuildKit(sessions, solver, {
  worker,
});

let client: GrpcClient;
beforeAll(async () => {
  const [ours, theirs] = await socketPair();
  buildkit.serve(ours);
  client = new GrpcClient(theirs);
});
afterAll(() => {
  client.destroy();
  buildkit.close();
});

let builds = 0;
/** What the client is told. */
async function build(options: Record<string, string>): Promise<ReadonlyMap<string, string>> {
  builds += 1;
  const Exporters = [{ Type: 'moby' }];
  const FrontendAttrs = Object.entries(options);
  const { ExporterResponse } = await client.unary(Control.methods.Solve, {
    ...{ Ref: `build-${builds}`, Frontend: 'gateway.v0', FrontendAttrs, Exporters },
  });
  return ExporterResponse;
}

/** The next frontend's process. */
function plays(play: (asks: GrpcClient, container: ContainerRun) => Promise<void>, exitCode = 0): void {
  solver.container = async (container, output) => {
    const asks = await connected(output);
    await play(asks, container);
    asks.destroy();
    return exitCode;
  };
}

async function connected({ input, write }: ExecOutput): Promise<GrpcClient> {
  const [ours, theirs] = await socketPair();
  theirs.on('data', (chunk: Buffer) => void write('stdout', chunk));
  const feed = async (): Promise<void> => {
    for await (const chunk of input ?? []) theirs.write(chunk);
  };
  feed().catch(() => undefined);
  return new GrpcClient(ours);
}

test('it is told what was asked for, and gives back what it made', async () => {
  let seen: ContainerRun | undefined;
  plays(async (asks, container) => {
    seen = container;
    const { result } = await asks.unary(bridge.Solve, {
      Definition: chainOf('log://1'),
      allowResultReturn: true,
    });
    await asks.unary(bridge.Return, { result });
  });
  await build({ source: 'other/frontend', 'build-arg:A': 'b' });
  const env = seen?.op.meta?.env ?? [];
  expect(env.slice(0, 2)).toEqual([
    'BUILDKIT_FRONTEND_OPT_0=build-arg:A=b',
    'BUILDKIT_FRONTEND_OPT_1=source=other/frontend',
  ]);
  const workers = env.find((each) => each.startsWith('BUILDKIT_WORKERS='))?.replace(/^[^=]*=/, '') ?? '';
  expect(JSON.parse(workers)).toMatchObject([{ id: 'worker', platforms: [{ os: 'linux' }] }]);
  expect(seen).toMatchObject({ op: { network: networkMode.sandbox, meta: { args: ['/run'], cwd: '/' } } });
  expect(seen?.files.map(({ path }) => path)).toEqual(['/run/config/buildkit/metadata/frontend.bin']);
});

test('its failure is the build’s: its own word, its exit code, its silence', async () => {
  plays(async (asks) => {
    await asks.unary(bridge.Return, { error: { code: 3, message: 'line 4 is no good', details: [] } });
  }, 1);
  await expect(build({ source: 'other' })).rejects.toMatchObject({ code: 3, message: 'line 4 is no good' });
  plays(() => Promise.resolve(), 7);
  await expect(build({ source: 'other' })).rejects.toThrow('frontend process exited with code 7');
  plays(() => Promise.resolve());
  await expect(build({ source: 'other' })).rejects.toThrow('no result for incomplete build');
  solver.container = async (_container, { write }) => {
    await write('stderr', Buffer.from('no /run here\n'));
    await write('stdout', Buffer.alloc(100_000, 'not HTTP/2 '));
    return 1;
  };
  await expect(build({ source: 'other' })).rejects.toThrow('exited with code 1: no /run here');
});

test('it has no results but its own', async () => {
  plays(async (asks) => {
    const asked = asks.unary(bridge.ReadFile, { Ref: 'build-1-2', FilePath: 'file' });
    const message = await asked.then(
      () => 'read',
      (error: unknown) => errorMessage(error),
    );
    await asks.unary(bridge.Return, { error: { code: 2, message, details: [] } });
  });
  await expect(build({ source: 'other' })).rejects.toThrow('no such ref: build-1-2');
});

test('tags of the official frontend are ours; its digests, and what names no image, are not', async () => {
  solver.container = () => Promise.reject(new Error('an image was run'));
  await build({ source: 'docker/dockerfile:1', chain: 'log://1' });
  const pinned = `docker/dockerfile:1@sha256:${'a'.repeat(64)}`;
  await expect(build({ source: pinned })).rejects.toThrow('an image was run');
  await expect(build({})).rejects.toThrow('no source specified for gateway');
  await expect(build({ source: 'other', 'frontend.caps': 'x' })).rejects.toThrow('frontend capability x');
  await expect(build({ source: 'other', 'context:other': 'local:dir' })).rejects.toThrow(
    'the context of frontend other has to be an image',
  );
});

test('one that speaks something else, and goes on and on, is given up', async () => {
  const gateway = new GatewayFrontend({ solver, worker, lingerMs: 10 });
  let wasEnded = false;
  const asked = new FakeBridge('FROM base');
  asked.images.set('other', {});
  asked.runContainer = async (_container, { write }, signal) => {
    while (!signal.aborted) {
      await write('stdout', Buffer.alloc(100_000, 'y'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    wasEnded = true;
    throw signal.reason as Error;
  };
  const request = { options: new Map([['source', 'other']]), inputs: new Map<string, never>() };
  const solving = gateway.solve(asked, request, new AbortController().signal);
  await expect(solving).rejects.toThrow('frontend grpc server closed unexpectedly');
  expect(wasEnded).toBe(true);
});
