// What a client serves on its session: directories in memory, credentials, secrets, an SSH agent that echoes, uploads, and a place
// for outputs. Speaks real frames on a real socket.

import type { Duplex } from 'node:stream';
import type { FileStat } from '../../../src/buildkit/contract/session';
import { packetType, type Packet } from '../../../src/buildkit/messages/files';
import { Health, healthStatus } from '../../../src/buildkit/messages/google';
import { Auth, FileSend, FileSync, Secrets, SSH, Upload } from '../../../src/buildkit/messages/session';
import type { ByteMessageStream } from '../../../src/buildkit/session/byte-messages';
import { fileStatOf, toStat } from '../../../src/buildkit/session/file-stat';
import type { Metadata } from '../../../src/buildkit/wire/metadata';
import {
  Routes,
  serveGrpc,
  type ServerConnection,
  type ServerStream,
} from '../../../src/buildkit/wire/server';
import { GrpcError, statusCodes } from '../../../src/buildkit/wire/status';

export interface FakeFile {
  stat: FileStat;
  content?: Buffer;
}

export function fakeFile(path: string, content: string | Buffer, more: Partial<FileStat> = {}): FakeFile {
  const bytes = Buffer.from(content);
  return { stat: { ...plain(path), sizeBytes: bytes.length, ...more }, content: bytes };
}

export function fakeDirectory(path: string): FakeFile {
  return { stat: { ...plain(path), type: 'directory', mode: 0o755 } };
}

export function fakeLink(path: string, linkName: string): FakeFile {
  return { stat: { ...plain(path), type: 'symlink', mode: 0o777, linkName } };
}

function plain(path: string): FileStat {
  return {
    path,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    modifiedNs: 1_700_000_000_123_456_789n,
    linkName: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
  };
}

type PacketStream = ServerStream<Packet, Parameters<typeof FileSync.methods.DiffCopy.request.encode>[0]>;

export class FakeClient {
  /** By names of local sources. */
  readonly directories = new Map<string, FakeFile[]>();
  readonly secrets = new Map<string, Buffer>();
  readonly uploads = new Map<string, Buffer>();
  /** What came to FileSend: bytes of files by the exporter's place. */
  readonly outputs = new Map<string, Buffer>();
  /** Metadata of each call of files. */
  readonly calls: Metadata[] = [];
  /** Whether outputs are directories; to be set before `serve`. */
  outputIsDirectory = false;
  isHealthy = true;

  serve(socket: Duplex): ServerConnection {
    const routes = new Routes()
      .add(Health, {
        Check: () =>
          this.isHealthy
            ? Promise.resolve({ status: healthStatus.serving })
            : Promise.reject(new GrpcError(statusCodes.internal, 'ill')),
      })
      .add(FileSync, { DiffCopy: (stream, { metadata }) => this.#sendFiles(stream, metadata) })
      .add(Auth, {
        Credentials: ({ Host }) => Promise.resolve({ Username: `user of ${Host}`, Secret: 'hush' }),
      })
      .add(Secrets, {
        GetSecret: ({ ID }) => {
          const data = this.secrets.get(ID);
          if (data === undefined) throw new GrpcError(statusCodes.notFound, `secret ${ID} not found`);
          return Promise.resolve({ data });
        },
      })
      .add(SSH, {
        CheckAgent: ({ ID }) =>
          ID === 'default'
            ? Promise.resolve({})
            : Promise.reject(new GrpcError(2, `unset ssh forward key ${ID}`)),
        ForwardAgent: async ({ receive, send }) => {
          for (let message = await receive(); message !== undefined; message = await receive()) {
            await send({ data: Buffer.concat([Buffer.from('agent: '), message.data]) });
          }
        },
      })
      .add(Upload, {
        Pull: async ({ send }, { metadata }) => {
          const data = this.uploads.get(metadata.get('urlpath')?.[0] ?? '');
          if (data === undefined) throw new GrpcError(statusCodes.notFound, 'no such upload');
          for (let at = 0; at < data.length; at += 1000) await send({ data: data.subarray(at, at + 1000) });
        },
      });
    if (this.outputIsDirectory) {
      routes.add(FileSend.Packets, { DiffCopy: (stream) => this.#takeDirectory(stream) });
    } else {
      routes.add(FileSend.Bytes, { DiffCopy: (stream, { metadata }) => this.#takeFile(stream, metadata) });
    }
    const toError = (error: unknown): GrpcError => new GrpcError(statusCodes.unknown, String(error));
    return serveGrpc(socket, { routes, toError });
  }

  /** As fsutil's sender: walks without waiting for requests. */
  async #sendFiles({ receive, send }: PacketStream, metadata: Metadata): Promise<void> {
    this.calls.push(metadata);
    const files = this.directories.get(metadata.get('dir-name')?.[0] ?? '');
    if (files === undefined) throw new GrpcError(statusCodes.notFound, 'no access allowed to dir');
    const walk = (async () => {
      for (const { stat } of files) await send({ type: packetType.stat, stat: toStat(stat) });
      await send({ type: packetType.stat });
    })();
    for (let packet = await receive(); packet !== undefined; packet = await receive()) {
      if (packet.type === packetType.request) {
        const content = files[packet.ID]?.content ?? Buffer.alloc(0);
        for (let at = 0; at < content.length; at += 32768) {
          await send({ type: packetType.data, ID: packet.ID, data: content.subarray(at, at + 32768) });
        }
        await send({ type: packetType.data, ID: packet.ID });
      }
      if (packet.type === packetType.fin) {
        await send({ type: packetType.fin });
        break;
      }
    }
    await walk;
  }

  async #takeDirectory({ receive, send }: PacketStream): Promise<void> {
    const stats: FileStat[] = [];
    let left = 0;
    for (let packet = await receive(); packet !== undefined; packet = await receive()) {
      if (packet.type === packetType.stat && packet.stat !== undefined) {
        const stat = fileStatOf(packet.stat);
        stats.push(stat);
        this.outputs.set(stat.path, Buffer.alloc(0));
        if (stat.type !== 'file' || stat.linkName !== '') continue;
        left += 1;
        await send({ type: packetType.request, ID: stats.length - 1 });
      } else if (packet.type === packetType.data) {
        const path = stats[packet.ID]?.path ?? '';
        this.outputs.set(path, Buffer.concat([this.outputs.get(path) ?? Buffer.alloc(0), packet.data]));
        if (packet.data.length === 0) left -= 1;
        if (left === 0) await send({ type: packetType.fin });
      } else if (packet.type === packetType.fin) return;
    }
  }

  async #takeFile({ receive }: Pick<ByteMessageStream, 'receive'>, metadata: Metadata): Promise<void> {
    this.calls.push(metadata);
    const parts: Buffer[] = [];
    for (let message = await receive(); message !== undefined; message = await receive()) {
      parts.push(message.data);
    }
    this.outputs.set(metadata.get('buildkit-attachable-exporter-id')?.[0] ?? '', Buffer.concat(parts));
  }
}
