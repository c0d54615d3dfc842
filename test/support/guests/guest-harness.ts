// Boots the guest as built by `make -C guest` and speaks the agent's protocol on the port's socket, byte by byte and
// without src/vm, so that the agent can be tested by itself and treated badly.

import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { whenOver } from '../../../src/async/deadline';
import { processClock } from '../../../src/async/process-clock';
import {
  frameCheckSeed,
  frameFlagMore,
  frameHeaderBytes,
  frameTrailer,
  frameTrailerBytes,
  FrameType,
  maxPayloadBytes,
  syncMagic,
  syncNonceBytes,
  syncPreambleZeros,
} from '../../../src/vm/contract/protocol';
import type {
  AgentEvent,
  AgentFailure,
  AgentHello,
  AgentOperation,
  AgentOperations,
} from '../../../src/vm/contract/protocol';
import { projectDir } from '../process/project-dir';

const guestDirectory = process.env['GUEST_DIRECTORY'] ?? path.join(projectDir, 'build/guest');

export function encodeFrame(type: number, channel: number, payload: Buffer, flags = 0): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + payload.length + frameTrailerBytes);
  frame[0] = type;
  frame[1] = flags;
  frame.writeUInt32LE(channel, 4);
  frame.writeUInt32LE(payload.length, 8);
  frame.writeUInt32LE((type ^ (flags << 8) ^ channel ^ payload.length ^ frameCheckSeed) >>> 0, 12);
  payload.copy(frame, frameHeaderBytes);
  frame.writeUInt32LE(frameTrailer, frameHeaderBytes + payload.length);
  return frame;
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

export class AgentRefusal extends Error {
  readonly failure: AgentFailure;

  constructor(failure: AgentFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

interface Received {
  data: Buffer[];
  length: number;
  ended: boolean;
}

interface BootOptions {
  memoryMiB?: number;
  cpus?: number;
  nics?: number;
  machine?: string;
  arguments?: string[];
  append?: string;
}

const bootAttempts = 3;

/** One VM; may be connected to several times. */
export class Guest {
  readonly qemu: ChildProcess;
  readonly directory: string;
  hello: AgentHello | undefined;
  /** Output by channel, without gaps and repetitions. */
  readonly output = new Map<number, Received>();
  readonly events: AgentEvent[] = [];
  readonly resets = new Set<number>();
  /** Whether output is acknowledged as it comes. */
  autoAck = true;
  /** Sequence numbers of DATA frames are checked; what was wrong ends up here. */
  readonly violations: string[] = [];
  private socket: net.Socket | undefined;
  private pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private partial = new Map<number, Buffer[]>();
  private buffered = Buffer.alloc(0);
  private nonce: Buffer | undefined;
  private nextRequest = 1;
  private nextChannel = 1;
  private lastSeq = 0;
  private waiters = new Set<() => void>();
  private inputOffsets = new Map<number, number>();
  private nextLun = 0;

  private constructor(qemu: ChildProcess, directory: string) {
    this.qemu = qemu;
    this.directory = directory;
  }

  /** Boots and connects; again if the guest hangs, as an emulated one may on a loaded host (src/vm/qemu/template.ts). */
  static async start(options: BootOptions = {}): Promise<Guest> {
    for (let attempt = 1; ; attempt += 1) {
      const guest = await Guest.boot(options);
      try {
        await guest.connect(attempt * 40_000);
        return guest;
      } catch (error) {
        await guest.end();
        if (attempt === bootAttempts) throw error;
      }
    }
  }

  static async boot(options: BootOptions = {}): Promise<Guest> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'guest-'));
    const khz = Math.round(
      Number(/cpu MHz\s*: ([\d.]+)/.exec(fs.readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '2000') * 1000,
    );
    const nics = Array.from({ length: options.nics ?? 2 }, (_, index) => [
      '-netdev',
      `user,id=n${index},restrict=on`,
      '-device',
      `virtio-net-device,netdev=n${index},mac=52:54:00:ca:15:0${index}`,
    ]).flat();
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ...[
          '-M',
          `microvm,accel=tcg${options.machine ?? ''}`,
          '-m',
          String(options.memoryMiB ?? 512),
          '-smp',
          String(options.cpus ?? 2),
        ],
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
        ...['-kernel', path.join(guestDirectory, 'vmlinuz')],
        ...['-initrd', path.join(guestDirectory, 'initramfs.cpio.gz')],
        '-append',
        `console=ttyS0 quiet reboot=t panic=-1 tsc_early_khz=${khz} tsc=reliable ${options.append ?? ''}`,
        ...['-serial', `file:${directory}/console.log`],
        ...['-qmp', `unix:${directory}/qmp.sock,server=on,wait=off`],
        ...[
          '-device',
          'virtio-serial-device',
          '-chardev',
          `socket,id=agent,path=${directory}/agent.sock,server=on,wait=off`,
        ],
        ...['-device', 'virtserialport,chardev=agent,name=caisson.agent.0'],
        ...['-device', 'virtio-scsi-device,id=scsi0', '-device', 'virtio-rng-device'],
        ...nics,
        ...(options.arguments ?? []),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    qemu.stderr.on('data', (text: Buffer) => fs.appendFileSync(`${directory}/qemu.log`, text));
    const guest = new Guest(qemu, directory);
    const deadline = Date.now() + 60_000;
    while (!fs.existsSync(`${directory}/agent.sock`)) {
      if (Date.now() > deadline || qemu.exitCode !== null)
        throw new Error(`QEMU did not start: ${guest.logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return guest;
  }

  logs(): string {
    return ['qemu.log', 'console.log']
      .map((name) => path.join(this.directory, name))
      .filter((file) => fs.existsSync(file))
      .map((file) => fs.readFileSync(file, 'utf8'))
      .join('');
  }

  async connect(timeoutMs = 60_000): Promise<AgentHello> {
    this.hello = undefined;
    this.buffered = Buffer.alloc(0);
    this.partial.clear();
    this.nonce = randomBytes(syncNonceBytes);
    const socket = net.connect(path.join(this.directory, 'agent.sock'));
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      if (socket === this.socket) this.take(chunk);
    });
    socket.write(Buffer.concat([Buffer.alloc(syncPreambleZeros), Buffer.from(syncMagic), this.nonce]));
    await this.until(() => this.hello !== undefined, 'HELLO', timeoutMs);
    this.raw(encodeFrame(FrameType.hello, 0, Buffer.from('{"version":1}')));
    for (const channel of this.hello!.channels) this.inputOffsets.set(channel.channel, channel.inReceived);
    // What the guest has forgotten was acknowledged to its end; only the EOF itself was lost.
    const open = new Set(this.hello!.channels.map(({ channel }) => channel));
    for (const [channel, received] of this.output) if (!open.has(channel)) received.ended = true;
    return this.hello!;
  }

  /** Ends the connection as a killed daemon would, after writing `last` (half a frame, say). */
  async drop(last?: Buffer): Promise<void> {
    const socket = this.socket!;
    if (last !== undefined) await new Promise((resolve) => socket.write(last, resolve));
    this.socket = undefined;
    for (const { reject } of this.pending.values()) reject(new Error('connection dropped'));
    this.pending.clear();
    await new Promise((resolve) => {
      socket.once('close', resolve);
      socket.destroy();
    });
  }

  raw(bytes: Buffer): void {
    this.socket!.write(bytes);
  }

  send(type: number, channel: number, payload: Buffer = Buffer.alloc(0)): void {
    this.raw(encodeFrame(type, channel, payload));
  }

  async request<Op extends AgentOperation>(
    op: Op,
    params: AgentOperations[Op]['params'],
  ): Promise<AgentOperations[Op]['result']> {
    const id = this.nextRequest++;
    const text = Buffer.from(JSON.stringify({ op, ...params }));
    const answer = new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
    for (let done = 0; done < text.length; done += maxPayloadBytes) {
      const more = done + maxPayloadBytes < text.length;
      this.raw(
        encodeFrame(
          FrameType.request,
          id,
          text.subarray(done, done + maxPayloadBytes),
          more ? frameFlagMore : 0,
        ),
      );
    }
    return (await answer) as AgentOperations[Op]['result'];
  }

  async identify(): Promise<void> {
    const now = Date.now();
    await this.request('identity', {
      entropyBase64: randomBytes(64).toString('base64'),
      timeSeconds: Math.floor(now / 1000),
      timeNanoseconds: (now % 1000) * 1_000_000,
      machineId: randomBytes(16).toString('hex'),
    });
  }

  channel(): number {
    return this.nextChannel++;
  }

  text(channel: number): string {
    return Buffer.concat(this.output.get(channel)?.data ?? []).toString();
  }

  input(channel: number, data: string | Buffer): void {
    const bytes = Buffer.from(data);
    const offset = this.inputOffsets.get(channel) ?? 0;
    for (let done = 0; done < bytes.length; done += 32_768) {
      const part = bytes.subarray(done, done + 32_768);
      this.send(FrameType.data, channel, Buffer.concat([u64(offset + done), part]));
    }
    this.inputOffsets.set(channel, offset + bytes.length);
  }

  endInput(channel: number): void {
    this.send(FrameType.eof, channel, u64(this.inputOffsets.get(channel) ?? 0));
  }

  ack(channel: number, offset: number): void {
    this.send(FrameType.ack, channel, u64(offset));
  }

  async until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return;
        stopTimer();
        this.waiters.delete(check);
        resolve();
      };
      const stopTimer = whenOver(timeoutMs, processClock(this.qemu.pid ?? 0), () => {
        this.waiters.delete(check);
        reject(new Error(`no ${what} after ${timeoutMs} ms\n${this.logs()}`));
      });
      this.waiters.add(check);
    });
  }

  exitOf(id: string): (AgentEvent & { event: 'exit' }) | undefined {
    return this.events.find(
      (event): event is AgentEvent & { event: 'exit' } => event.event === 'exit' && event.id === id,
    );
  }

  async exit(id: string, timeoutMs?: number): Promise<AgentEvent & { event: 'exit' }> {
    await this.until(() => this.exitOf(id) !== undefined, `exit of ${id}`, timeoutMs);
    return this.exitOf(id)!;
  }

  async qmp(...commands: object[]): Promise<unknown[]> {
    const socket = net.connect(path.join(this.directory, 'qmp.sock'));
    const results: unknown[] = [];
    let text = '';
    socket.write(
      [{ execute: 'qmp_capabilities' }, ...commands].map((command) => JSON.stringify(command)).join('\n'),
    );
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const message = JSON.parse(text.slice(0, end)) as Record<string, unknown>;
          text = text.slice(end + 1);
          if ('error' in message) reject(new Error(JSON.stringify(message['error'])));
          if ('return' in message && results.push(message['return']) === commands.length + 1) resolve();
        }
      });
    });
    socket.destroy();
    return results.slice(1);
  }

  /** Plugs disks; returns their LUNs. */
  async plug(...disks: { file: string; readOnly: boolean }[]): Promise<number[]> {
    const luns = disks.map(() => this.nextLun++);
    await this.qmp(
      ...disks.flatMap(({ file, readOnly }, index) => {
        const name = `d${luns[index]}`;
        return [
          {
            execute: 'blockdev-add',
            arguments: {
              driver: 'raw',
              'node-name': name,
              'read-only': readOnly,
              ...(readOnly ? {} : { discard: 'unmap', 'detect-zeroes': 'unmap' }),
              file: {
                driver: 'file',
                filename: file,
                locking: 'off',
                ...(readOnly ? {} : { discard: 'unmap' }),
              },
            },
          },
          {
            execute: 'device_add',
            arguments: {
              driver: 'scsi-hd',
              id: name,
              drive: name,
              bus: 'scsi0.0',
              'scsi-id': 0,
              lun: luns[index],
            },
          },
        ];
      }),
    );
    return luns;
  }

  async unplug(...luns: number[]): Promise<void> {
    await this.qmp(...luns.map((lun) => ({ execute: 'device_del', arguments: { id: `d${lun}` } })));
  }

  async end(): Promise<void> {
    this.socket?.destroy();
    if (this.qemu.exitCode === null && this.qemu.signalCode === null) {
      const gone = new Promise((resolve) => this.qemu.once('exit', resolve));
      this.qemu.kill('SIGKILL');
      await gone;
    }
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  private take(chunk: Buffer): void {
    this.buffered = Buffer.concat([this.buffered, chunk]);
    if (this.nonce !== undefined) {
      const at = this.buffered.indexOf(Buffer.concat([Buffer.from(syncMagic), this.nonce]));
      if (at < 0) return;
      this.buffered = this.buffered.subarray(at + syncMagic.length + syncNonceBytes);
      this.nonce = undefined;
    }
    for (;;) {
      if (this.buffered.length < frameHeaderBytes) break;
      const [type, flags] = [this.buffered[0]!, this.buffered[1]!];
      const channel = this.buffered.readUInt32LE(4);
      const length = this.buffered.readUInt32LE(8);
      const check = (type ^ (flags << 8) ^ channel ^ length ^ frameCheckSeed) >>> 0;
      if (check !== this.buffered.readUInt32LE(12) || length > maxPayloadBytes)
        throw new Error(`bad frame header ${this.buffered.subarray(0, 16).toString('hex')}`);
      if (this.buffered.length < frameHeaderBytes + length + frameTrailerBytes) break;
      if (this.buffered.readUInt32LE(frameHeaderBytes + length) !== frameTrailer)
        throw new Error('bad frame trailer');
      const payload = Buffer.from(this.buffered.subarray(frameHeaderBytes, frameHeaderBytes + length));
      this.buffered = this.buffered.subarray(frameHeaderBytes + length + frameTrailerBytes);
      this.frame(type, flags, channel, payload);
    }
    for (const waiter of [...this.waiters]) waiter();
  }

  private frame(type: number, flags: number, channel: number, payload: Buffer): void {
    if (type === FrameType.hello) this.hello = JSON.parse(payload.toString()) as AgentHello;
    else if (type === FrameType.response) this.response(channel, flags, payload);
    else if (type === FrameType.event) this.event(JSON.parse(payload.toString()) as AgentEvent);
    else if (type === FrameType.reset) this.resets.add(channel);
    else if (type === FrameType.data)
      this.data(channel, Number(payload.readBigUInt64LE()), payload.subarray(8));
    else if (type === FrameType.eof) {
      const received = this.received(channel);
      if (Number(payload.readBigUInt64LE()) !== received.length)
        this.violations.push(`EOF of ${channel} at a gap`);
      received.ended = true;
    }
  }

  private received(channel: number): Received {
    let received = this.output.get(channel);
    if (received === undefined) this.output.set(channel, (received = { data: [], length: 0, ended: false }));
    return received;
  }

  private response(id: number, flags: number, payload: Buffer): void {
    const parts = this.partial.get(id) ?? [];
    parts.push(payload);
    this.partial.set(id, parts);
    if ((flags & frameFlagMore) !== 0) return;
    this.partial.delete(id);
    const message = JSON.parse(Buffer.concat(parts).toString()) as { result?: unknown; error?: AgentFailure };
    const waiting = this.pending.get(id);
    this.pending.delete(id);
    if (message.error !== undefined) waiting?.reject(new AgentRefusal(message.error));
    else waiting?.resolve(message.result);
  }

  private event(event: AgentEvent): void {
    if (event.seq > this.lastSeq) {
      this.events.push(event);
      this.lastSeq = event.seq;
    }
    this.send(FrameType.eventAck, 0, u64(event.seq));
  }

  private data(channel: number, offset: number, bytes: Buffer): void {
    const received = this.received(channel);
    if (offset > received.length)
      this.violations.push(`gap in ${channel}: ${offset} after ${received.length}`);
    const known = received.length - offset;
    if (known < bytes.length) {
      received.data.push(bytes.subarray(Math.max(known, 0)));
      received.length = offset + bytes.length;
    }
    if (this.autoAck) this.ack(channel, received.length);
  }
}
