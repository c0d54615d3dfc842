// A client of BuildKit's interface on a daemon's socket: sends graphs, serves what they need, and has what came of them.

import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

import { Control, type StatusResponse } from '../../../src/buildkit/messages/control';
import type { Definition } from '../../../src/buildkit/messages/ops';
import { GrpcClient } from '../../../src/buildkit/wire/client';
import { FakeClient } from './fake-client';

const control = Control.methods;

export interface BuildOptions {
  exporters?: { Type: string; Attrs: [string, string][] }[];
  entitlements?: string[];
  ref?: string;
  signal?: AbortSignal;
}

export interface Built {
  answer: ReadonlyMap<string, string>;
  status: StatusResponse[];
  /** What steps wrote. */
  output: string;
}

export class BuildClient {
  /** What builds may ask for. */
  readonly served = new FakeClient();
  readonly sessionId = randomUUID();
  readonly grpc: GrpcClient;
  readonly #host: string;

  private constructor(host: string, socket: Duplex) {
    this.#host = host;
    this.grpc = new GrpcClient(socket);
  }

  /** `host`: `unix://…` */
  static async connect(host: string): Promise<BuildClient> {
    const client = new BuildClient(host, await upgraded(host, '/grpc', {}));
    const session = await upgraded(host, '/session', {
      'X-Docker-Expose-Session-Uuid': client.sessionId,
      'X-Docker-Expose-Session-Name': 'test',
    });
    client.served.serve(session);
    return client;
  }

  /** Rejects with why it failed; what was told until then is in `status`. */
  async build(
    definition: Definition,
    options: BuildOptions = {},
    status: StatusResponse[] = [],
  ): Promise<Built> {
    const ref = options.ref ?? randomUUID();
    const solving = this.grpc.unary(
      control.Solve,
      {
        Ref: ref,
        Session: this.sessionId,
        Definition: definition,
        Exporters: options.exporters ?? [],
        Entitlements: options.entitlements ?? [],
      },
      options.signal === undefined ? {} : { signal: options.signal },
    );
    const telling = this.#status(ref, status);
    const [solved, told] = await Promise.allSettled([solving, telling]);
    if (solved.status === 'rejected') throw solved.reason;
    if (told.status === 'rejected') throw told.reason;
    return { answer: solved.value.ExporterResponse, status, output: outputOf(status) };
  }

  /** Another connection of the same kind, as each command of a CLI has its own. */
  another(): Promise<BuildClient> {
    return BuildClient.connect(this.#host);
  }

  close(): void {
    this.grpc.destroy();
  }

  async #status(Ref: string, status: StatusResponse[]): Promise<void> {
    const stream = this.grpc.open(control.Status);
    await stream.send({ Ref });
    for (let next = await stream.receive(); next !== undefined; next = await stream.receive())
      status.push(next);
  }
}

export function outputOf(status: readonly StatusResponse[]): string {
  return Buffer.concat(status.flatMap(({ logs }) => logs.map(({ msg }) => msg))).toString();
}

function upgraded(host: string, path: string, headers: Record<string, string>): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath: host.replace('unix://', ''),
      method: 'POST',
      path,
      headers: { ...headers, Connection: 'Upgrade', Upgrade: 'h2c' },
    });
    asked.on('upgrade', (_response, socket, head) => {
      socket.unshift(head);
      socket.on('error', () => undefined);
      resolve(socket);
    });
    asked.on('response', ({ statusCode }) => reject(new Error(`${path} answered ${String(statusCode)}`)));
    asked.on('error', reject);
    asked.end();
  });
}
