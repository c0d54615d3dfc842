// The daemon, as the client commands see it: dockerode for what Docker has, its transport for /v1.

import Docker from 'dockerode';
import { errorMessage } from '../../errors';
import { SshAgent, SshError } from './ssh-agent';

const defaultSocket = '/run/caisson/caisson.sock';
/** Where a daemon without `--host` listens. */
export const defaultHost = `unix://${defaultSocket}`;
/** To the transport; with an agent it means nothing. */
const anyHost = 'docker';

/** A refusal of the daemon, or that there is none. */
export class ClientError extends Error {
  /** HTTP's; 0: no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Query = Record<string, string | readonly string[] | number | boolean | undefined>;

export class ApiClient {
  readonly docker: Docker;
  readonly host: string;

  /** `host` as `docker -H` takes it, `ssh://` too; TLS by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. */
  constructor(host: string | undefined) {
    this.host = host ?? process.env['DOCKER_HOST'] ?? defaultHost;
    if (this.host.startsWith('ssh://')) {
      delete process.env['DOCKER_HOST'];
      // the types want an agent's class of old
      const agent = new SshAgent(this.host, defaultSocket) as unknown;
      this.docker = new Docker({ protocol: 'http', host: anyHost, port: 80, agent } as Docker.DockerOptions);
      return;
    }
    // The transport reads it from there, with all its forms.
    process.env['DOCKER_HOST'] = this.host;
    this.docker = new Docker();
  }

  /** The JSON of the answer; undefined without one. Throws ClientError. */
  async call<Reply>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    {
      query = {},
      body,
      text: file,
    }: { query?: Query; body?: object; /** As it is, instead of JSON. */ text?: string } = {},
  ): Promise<Reply> {
    const reply: unknown = await this.#dial(method, path, query, body, false, file);
    const text = Buffer.isBuffer(reply) ? reply.toString() : '';
    // The transport parses what says that it is JSON. The caller knows the operation's reply.
    return (Buffer.isBuffer(reply) ? (text === '' ? undefined : JSON.parse(text)) : reply) as Reply;
  }

  /** The answer as it comes. */
  async stream(path: string, query: Query = {}): Promise<NodeJS.ReadableStream> {
    return (await this.#dial('GET', path, query, undefined, true)) as NodeJS.ReadableStream;
  }

  /** What dockerode rejects with, as ClientError. */
  explain(error: unknown): Error {
    if (error instanceof ClientError) return error;
    if (error instanceof SshError) {
      return new ClientError(0, `cannot connect to the daemon at ${this.host}: ${error.message}`);
    }
    const { statusCode, json, code } = error as { statusCode?: number; json?: unknown; code?: string };
    if (statusCode !== undefined) {
      return new ClientError(statusCode, messageOf(json) ?? withoutStatus(errorMessage(error)));
    }
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EACCES') {
      const hint =
        code === 'EACCES'
          ? 'you may not use its socket: run this as root (sudo), or join its group and log in again'
          : 'is it running? ("caisson up" starts it; DOCKER_HOST or --host is for another address)';
      return new ClientError(0, `cannot connect to the daemon at ${this.host}: ${hint}`);
    }
    return error instanceof Error ? error : new Error(String(error));
  }

  #dial(
    method: string,
    path: string,
    query: Query,
    body: object | undefined,
    isStream: boolean,
    file?: string,
  ) {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (item !== undefined) search.append(name, String(item));
      }
    }
    const suffix = search.size === 0 ? '' : `?${search.toString()}&`;
    return new Promise<unknown>((resolve, reject) => {
      this.docker.modem.dial(
        {
          path: `${path}${suffix}`,
          method,
          isStream,
          statusCodes: { 200: true, 201: true, 204: true, 304: true },
          ...(file === undefined ? {} : { file: Buffer.from(file) }),
          ...(body === undefined ? {} : { options: { _query: {}, _body: body } }),
        },
        (error: unknown, reply: unknown) => {
          if (error === null || error === undefined) resolve(reply);
          else reject(this.explain(error));
        },
      );
    });
  }
}

function messageOf(json: unknown): string | undefined {
  const { message } = (json ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : undefined;
}

/** Of a request that was to be answered by a stream, dockerode tells nothing but this text. */
function withoutStatus(text: string): string {
  return text.replace(/^\(HTTP code \d+\) [^-]* - /, '').trim();
}
