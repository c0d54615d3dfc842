// A client's session: its services as we call them. Each call has a deadline where an answer is owed at once; transfers have the
// build's signal and the session's health (sessions.ts).

import { Readable, type Duplex, type Writable } from 'node:stream';
import { BuildError } from '../contract/errors';
import type {
  FilesReceiver,
  FilesRequest,
  RegistryToken,
  SentFile,
  SessionCaller,
  TokenRequest,
} from '../contract/session';
import { Content } from '../messages/content';
import { Auth, FileSend, FileSync, Secrets, SSH, Upload } from '../messages/session';
import type { GrpcClient } from '../wire/client';
import { GrpcError, statusCodes } from '../wire/status';
import { ByteMessages, ByteSink } from './byte-messages';
import { buildErrorOf } from './call-errors';
import { receiveFiles } from './receive-files';
import { sendFiles } from './send-files';
import { writeContent } from './write-content';

/** A user may be asked by a helper of the client's. */
const answerMs = 60_000;

export interface SessionHeaders {
  id: string;
  name: string;
  sharedKey: string;
  /** Methods that the client serves, in lower case; empty: it doesn't say. */
  methods: ReadonlySet<string>;
}

export class ClientSession implements SessionCaller {
  readonly id: string;
  readonly name: string;
  readonly sharedKey: string;
  readonly closed: AbortSignal;
  readonly #methods: ReadonlySet<string>;
  readonly #client: GrpcClient;

  constructor({ id, name, sharedKey, methods }: SessionHeaders, client: GrpcClient) {
    this.id = id;
    this.name = name;
    this.sharedKey = sharedKey;
    this.closed = client.closed;
    this.#methods = methods;
    this.#client = client;
  }

  supports(method: string): boolean {
    return this.#methods.size === 0 || this.#methods.has(method.toLowerCase());
  }

  async receiveFiles(request: FilesRequest, receiver: FilesReceiver, signal: AbortSignal): Promise<void> {
    const method = FileSync.methods.DiffCopy;
    if (!this.supports(method.path)) throw new BuildError('FailedPrecondition', 'no local sources enabled');
    const stream = this.#client.open(method, {
      signal,
      metadata: {
        'dir-name': request.name,
        ...patterns('include-patterns', request.include),
        ...patterns('exclude-patterns', request.exclude),
        ...patterns('followpaths', request.follow),
      },
    });
    try {
      await receiveFiles(stream, receiver);
    } catch (error) {
      throw buildErrorOf(error);
    } finally {
      stream.cancel();
    }
  }

  async sendFiles(exporterIndex: number, files: AsyncIterable<SentFile>, signal: AbortSignal): Promise<void> {
    const method = FileSend.Packets.methods.DiffCopy;
    this.#require(method.path);
    const stream = this.#client.open(method, { signal, metadata: exporterId(exporterIndex) });
    try {
      await sendFiles(stream, files);
    } catch (error) {
      throw buildErrorOf(error);
    } finally {
      stream.cancel();
    }
  }

  sendFile(exporterIndex: number, metadata: ReadonlyMap<string, string>, signal: AbortSignal): Writable {
    const method = FileSend.Bytes.methods.DiffCopy;
    this.#require(method.path);
    const told = [...metadata].map(([name, value]): [string, string] => [
      `exporter-md-${name.toLowerCase()}`,
      value,
    ]);
    const stream = this.#client.open(method, {
      signal,
      metadata: { ...Object.fromEntries(told), ...exporterId(exporterIndex) },
    });
    return new ByteSink(stream);
  }

  async credentials(host: string, signal: AbortSignal): Promise<{ username: string; secret: string }> {
    const method = Auth.methods.Credentials;
    if (!this.supports(method.path)) return { username: '', secret: '' };
    try {
      const { Username, Secret } = await this.#client.unary(
        method,
        { Host: host },
        { signal, timeoutMs: answerMs },
      );
      return { username: Username, secret: Secret };
    } catch (error) {
      if (isUnimplemented(error)) return { username: '', secret: '' };
      throw buildErrorOf(error);
    }
  }

  async fetchToken(request: TokenRequest, signal: AbortSignal): Promise<RegistryToken | undefined> {
    const method = Auth.methods.FetchToken;
    if (!this.supports(method.path)) return undefined;
    const { clientId: ClientID, host: Host, realm: Realm, service: Service, scopes: Scopes } = request;
    try {
      const answer = await this.#client.unary(
        method,
        { ClientID, Host, Realm, Service, Scopes },
        { signal, timeoutMs: answerMs },
      );
      return { token: answer.Token, expiresInSeconds: answer.ExpiresIn };
    } catch (error) {
      if (isUnimplemented(error)) return undefined;
      throw buildErrorOf(error);
    }
  }

  async secret(id: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const method = Secrets.methods.GetSecret;
    if (!this.supports(method.path)) return undefined;
    try {
      return (await this.#client.unary(method, { ID: id }, { signal, timeoutMs: answerMs })).data;
    } catch (error) {
      const isMissing = error instanceof GrpcError && error.code === statusCodes.notFound;
      if (isMissing || isUnimplemented(error)) return undefined;
      throw buildErrorOf(error);
    }
  }

  async checkSshAgent(id: string, signal: AbortSignal): Promise<void> {
    const method = SSH.methods.CheckAgent;
    if (!this.supports(method.path))
      throw new BuildError('NotFound', 'no SSH agent is forwarded by the client');
    try {
      await this.#client.unary(method, { ID: id }, { signal, timeoutMs: answerMs });
    } catch (error) {
      throw buildErrorOf(error);
    }
  }

  connectSshAgent(id: string): Duplex {
    const stream = this.#client.open(SSH.methods.ForwardAgent, { metadata: { 'buildkit.ssh.id': id } });
    return new ByteMessages(stream);
  }

  pullUpload(id: string, signal: AbortSignal): Readable {
    const method = Upload.methods.Pull;
    this.#require(method.path);
    const stream = this.#client.open(method, {
      signal,
      metadata: { urlpath: `/${id}`, urlhost: 'buildkit-session' },
    });
    const bytes = new ByteMessages(stream);
    bytes.end();
    return bytes;
  }

  readContent(storeId: string, digest: string, signal: AbortSignal): Readable {
    const method = Content.methods.Read;
    this.#require(method.path);
    const stream = this.#client.open(method, {
      signal,
      metadata: { 'buildkit-attachable-store-id': storeId },
    });
    async function* content(): AsyncGenerator<Buffer> {
      let offset = 0;
      try {
        await stream.send({ digest });
        stream.end();
        for (let part = await stream.receive(); part !== undefined; part = await stream.receive()) {
          if (part.offset !== offset) throw new BuildError('InvalidArgument', 'content came out of order');
          offset += part.data.length;
          if (part.data.length > 0) yield part.data;
        }
      } catch (error) {
        throw buildErrorOf(error);
      } finally {
        stream.cancel();
      }
    }
    return Readable.from(content(), { objectMode: false });
  }

  async writeContent(
    storeId: string,
    blob: { digest: string; sizeBytes: number },
    content: Readable,
    signal: AbortSignal,
  ): Promise<void> {
    const method = Content.methods.Write;
    try {
      this.#require(method.path);
      const metadata = { 'buildkit-attachable-store-id': storeId };
      const stream = this.#client.open(method, { signal, metadata });
      try {
        await writeContent(stream, blob, content);
      } finally {
        stream.cancel();
      }
    } catch (error) {
      throw buildErrorOf(error);
    } finally {
      content.destroy();
    }
  }

  #require(path: string): void {
    if (!this.supports(path))
      throw new BuildError('FailedPrecondition', `method ${path} not supported by the client`);
  }
}

/** As many headers as patterns. Where one isn't ASCII all are escaped, as Go's url.QueryEscape does. */
function patterns(
  key: string,
  list: readonly string[] | undefined,
): Record<string, readonly string[] | string> {
  if (list === undefined || list.length === 0) return {};
  const isPlain = list.every((text) => /^[\x20-\x7e]*$/.test(text));
  if (isPlain) return { [key]: list };
  const escaped = list.map((text) => encodeURIComponent(text).replaceAll('%20', '+'));
  return { [key]: escaped, [`${key}-encoded`]: '1' };
}

function exporterId(index: number): Record<string, string> {
  return { 'buildkit-attachable-exporter-id': String(index) };
}

function isUnimplemented(error: unknown): boolean {
  return error instanceof GrpcError && error.code === statusCodes.unimplemented;
}
