// Frontends of others: an image whose program is netcat, so that the test itself plays the frontend, through a container that passes on
// what both say.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { BuildClient } from '../../support/buildkit/build-client';
import { useBusyboxDaemon } from '../../support/labs/busybox-daemon';
import { definitionOf, image, run } from '../../unit/buildkit/solver/fake-host';
import { Control } from '../../../src/buildkit/messages/control';
import { LLBBridge, type ExecMessage, type ExecMessageInit } from '../../../src/buildkit/messages/gateway';
import { mountType, networkMode } from '../../../src/buildkit/messages/ops';
import { socketPair } from '../../../src/host/socket-pair';
import { GrpcClient, type ClientStream } from '../../../src/buildkit/wire/client';

const engine = useBusyboxDaemon('frontends');
const busybox = image('busybox:latest');
const bridge = LLBBridge.methods;
/** Each starts VMs; on a busy host, where they are emulated, one takes a minute. */
const slow = 900_000;
const port = '9000';

let client: BuildClient;
let relay: ChildProcessWithoutNullStreams;
beforeAll(async () => {
  client = await BuildClient.connect(engine.daemon.host);
  const listen = ['run', '-i', '--rm', '--name', 'relay', 'busybox', 'nc', '-l', '-p', port];
  relay = spawn('docker', ['--host', engine.daemon.host, ...listen]);
  relay.stdin.on('error', () => undefined);
  engine.docker('create', '--name', 'base', 'busybox');
  const address = await addressOf('relay');
  engine.docker(
    ...['commit', '--change', `ENTRYPOINT ["nc", "${address}", "${port}"]`],
    ...['--change', 'LABEL moby.buildkit.frontend.caps=moby.buildkit.frontend.inputs', 'base', 'frontend'],
  );
}, slow);
afterAll(() => {
  client.close();
  relay.kill();
});

async function addressOf(name: string): Promise<string> {
  const until = Date.now() + slow / 2;
  for (;;) {
    const address = engine.docker('ps', '--filter', `name=${name}`, '-q')
      ? engine.docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', name)
      : '';
    if (address !== '') return address;
    if (Date.now() > until) throw new Error('the relay does not run');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What one stream told of its processes. */
class Told {
  readonly #stream: ClientStream<ExecMessage, ExecMessageInit>;
  readonly #texts = new Map<string, string>();
  readonly #codes = new Map<string, number>();
  readonly #done = new Set<string>();

  constructor(stream: ClientStream<ExecMessage, ExecMessageInit>) {
    this.#stream = stream;
  }

  /** Waits for its end. */
  async of(id: string): Promise<{ text: string | undefined; code: number | undefined }> {
    while (!this.#done.has(id)) {
      const message = await this.#stream.receive();
      if (message === undefined) throw new Error(`the stream ended before ${id}`);
      const { ProcessID, Input } = message;
      const text = Input?.kind === 'File' ? Input.value.Data.toString() : '';
      this.#texts.set(ProcessID, (this.#texts.get(ProcessID) ?? '') + text);
      if (Input?.kind === 'Exit') this.#codes.set(ProcessID, Input.value.Code);
      if (Input?.kind === 'Done') this.#done.add(ProcessID);
    }
    return { text: this.#texts.get(id), code: this.#codes.get(id) };
  }
}

test(
  'an image asks for what clients may ask for, runs programs, and its result is the build’s',
  async () => {
    const solving = client.grpc.unary(Control.methods.Solve, {
      Ref: randomUUID(),
      Session: client.sessionId,
      Frontend: 'gateway.v0',
      FrontendAttrs: [
        ['source', 'frontend'],
        ['asked', 'so'],
      ],
      Exporters: [{ Type: 'moby', Attrs: [['name', 'made']] }],
    });
    solving.catch(() => undefined);
    const [ours, theirs] = await socketPair();
    relay.stdout.pipe(theirs).pipe(relay.stdin);
    const frontend = new GrpcClient(ours);
    const { FrontendAPICaps, Workers } = await frontend.unary(bridge.Ping, {});
    expect(FrontendAPICaps.map(({ ID }) => ID)).toContain('gateway.exec');
    expect(Workers).toHaveLength(1);

    const definition = definitionOf(run(busybox, 'echo made > /file; mkdir /d'));
    const { result } = await frontend.unary(bridge.Solve, {
      Definition: definition,
      allowResultReturn: true,
      Evaluate: true,
    });
    const ref = result?.result?.kind === 'ref' ? result.result.value.id : '';
    const { Data } = await frontend.unary(bridge.ReadFile, { Ref: ref, FilePath: '/file' });
    expect(Data.toString()).toBe('made\n');
    const { entries } = await frontend.unary(bridge.ReadDir, { Ref: ref, DirPath: '/', IncludePattern: 'd' });
    expect(entries.map(({ path }) => path)).toEqual(['d']);
    await expect(frontend.unary(bridge.StatFile, { Ref: 'other', Path: '/' })).rejects.toThrow('no such ref');

    await frontend.unary(bridge.NewContainer, {
      ContainerID: 'c',
      Network: networkMode.none,
      Mounts: [
        { dest: '/', resultID: ref },
        { dest: '/memory', mountType: mountType.tmpfs },
      ],
    });
    const stream = frontend.open(bridge.ExecProcess);
    const asked =
      'read line; echo $line $HOME; ls /sys/class/net; while [ ! -e /over ]; do sleep 0.1; done; exit 3';
    const init = { ContainerID: 'c', Fds: [0, 1, 2] };
    await stream.send({
      ProcessID: 'first',
      Input: {
        kind: 'Init',
        value: { ...init, Meta: { args: ['sh', '-c', asked], env: ['HOME=/d'], cwd: '/' } },
      },
    });
    await stream.send({
      ProcessID: 'first',
      Input: { kind: 'File', value: { Fd: 0, EOF: true, Data: Buffer.from('a line\n') } },
    });
    await stream.send({
      ProcessID: 'second',
      Input: { kind: 'Init', value: { ...init, Meta: { args: ['sleep', '1000'], cwd: '/' } } },
    });
    await stream.send({ ProcessID: 'second', Input: { kind: 'Signal', value: { Name: 'SIGTERM' } } });
    const told = new Told(stream);
    expect(await told.of('second')).toEqual({ text: '', code: 143 });
    const third = frontend.open(bridge.ExecProcess);
    const what = { args: ['sh', '-c', 'cat /file; touch /over'], cwd: '/' };
    await third.send({ ProcessID: 'third', Input: { kind: 'Init', value: { ...init, Meta: what } } });
    third.end();
    expect(await new Told(third).of('third')).toEqual({ text: 'made\n', code: 0 });
    stream.end();
    expect(await told.of('first')).toEqual({ text: 'a line /d\nlo\n', code: 3 });
    await frontend.unary(bridge.ReleaseContainer, { ContainerID: 'c' });

    await frontend.unary(bridge.Return, { result });
    frontend.destroy();
    const { ExporterResponse } = await solving;
    expect(ExporterResponse.get('image.name')).toBe('made');
    expect(engine.docker('run', '--rm', 'made', 'cat', '/file')).toBe('made');
  },
  slow,
);

test(
  'an image that does not speak ends its build, with what it said',
  async () => {
    engine.docker(
      'commit',
      '--change',
      'ENTRYPOINT ["sh", "-c", "echo not today >&2; exit 4"]',
      'base',
      'mute',
    );
    const solving = client.grpc.unary(Control.methods.Solve, {
      Ref: randomUUID(),
      Session: client.sessionId,
      Frontend: 'gateway.v0',
      FrontendAttrs: [['source', 'mute']],
    });
    await expect(solving).rejects.toThrow('frontend process exited with code 4: not today');
  },
  slow,
);

test(
  'of one that never ends nothing is left when its client is gone',
  async () => {
    engine.docker('commit', '--change', 'ENTRYPOINT ["sleep", "1000000"]', 'base', 'hangs');
    // Its connection may have ended with the frontend's VM, of which it learns nothing.
    for (const id of engine.docker('ps', '-q').split('\n').filter(Boolean)) engine.docker('rm', '-f', id);
    const abort = new AbortController();
    const request = {
      Ref: randomUUID(),
      Session: client.sessionId,
      Frontend: 'gateway.v0',
      FrontendAttrs: [['source', 'hangs']] as [string, string][],
    };
    const solving = client.grpc.unary(Control.methods.Solve, request, { signal: abort.signal });
    solving.catch(() => undefined);
    const until = async (holds: () => boolean): Promise<void> => {
      const end = Date.now() + slow / 4;
      while (!holds() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
      expect(holds()).toBe(true);
    };
    await until(() => engine.daemon.qemuPids().length > 0);
    abort.abort();
    await expect(solving).rejects.toThrow();
    await until(() => engine.daemon.qemuPids().length === 0);
  },
  slow,
);

test(
  'a scanner sees the files of the result and writes what is stated of it',
  async () => {
    const statement = '{"_type":"x","predicateType":"https://spdx.dev/Document","predicate":{"files":"%s"}}';
    const scan = `printf '${statement}' "$(ls $BUILDKIT_SCAN_SOURCE/file) $BUILDKIT_SCAN_depth" > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json`;
    const scanner = JSON.stringify(['sh', '-c', `touch $BUILDKIT_SCAN_SOURCE/x || ${scan}`]);
    engine.docker('commit', '--change', `ENTRYPOINT ${scanner}`, 'base', 'scanner');
    await client.grpc.unary(Control.methods.Solve, {
      Ref: randomUUID(),
      Session: client.sessionId,
      Definition: definitionOf(run(busybox, 'echo made > /file; mkdir /d')),
      FrontendAttrs: [['attest:sbom', 'generator=scanner,depth=3']],
      Exporters: [{ Type: 'tar' }],
    });
    const tar = [...client.served.outputs.values()].map(String).join('');
    expect(tar).toContain('sbom.spdx.json');
    expect(tar).toContain('"files": "/run/src/core/sbom/file 3"');
  },
  slow,
);
