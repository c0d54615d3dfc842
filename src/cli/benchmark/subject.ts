// The containers that are measured: one that stays, for what happens inside and for its port, and others that only start.

import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';
import type { ApiClient } from '../client/api-client';
import { withImage } from '../client/pull';

/** The seeded image: every daemon of ours has it, and Debian's busybox in it. */
const image = 'caisson/hello';
const labels = { 'caisson.benchmark': '' };
/** A container whose client was ended goes by itself after so many seconds. */
const lifetime = 600;
export const webPort = 80;
/** Bytes of /big, which the container's web server gives. */
export const bigBytes = 30_000_000;

export class Subject {
  readonly #client: ApiClient;
  #container: Promise<Docker.Container> | undefined;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** `docker run --rm IMAGE true`, from the creation to the exit. */
  async runOne(): Promise<void> {
    const container = await this.#create({ Cmd: ['true'], HostConfig: { AutoRemove: true } });
    try {
      const ended = container.wait({ condition: 'next-exit' }) as Promise<{ StatusCode: number }>;
      ended.catch(() => undefined);
      await container.start();
      const { StatusCode: code } = await ended;
      if (code !== 0) throw new Error(`a container that runs "true" ended with ${code}`);
    } catch (error) {
      await container.remove({ force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** What `script` writes to its standard output. Throws what it writes to the other when it fails. */
  async exec(script: string): Promise<string> {
    const container = await this.#running();
    const exec = await container.exec({ Cmd: ['sh', '-c', script], AttachStdout: true, AttachStderr: true });
    const stream = await exec.start({});
    const [out, err] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([textOf(out), textOf(err)]);
    this.#client.docker.modem.demuxStream(stream, out, err);
    const end = (): void => {
      out.end();
      err.end();
    };
    stream.once('end', end).once('close', end).once('error', end);
    const [output, complaint] = await texts;
    const { ExitCode: code } = await exec.inspect();
    if (code !== 0) throw new Error(`exit status ${code ?? 'unknown'}: ${complaint.trim()}`);
    return output;
  }

  /** Where the container's web server is reached on this machine. */
  async port(): Promise<number> {
    const { NetworkSettings } = await (await this.#running()).inspect();
    const port = NetworkSettings.Ports[`${webPort}/tcp`]?.[0]?.HostPort;
    if (port === undefined) throw new Error('no port was published');
    return Number(port);
  }

  async remove(): Promise<void> {
    const container = await this.#container?.catch(() => undefined);
    await container?.remove({ force: true, v: true }).catch(() => undefined);
  }

  #running(): Promise<Docker.Container> {
    this.#container ??= this.#start();
    return this.#container;
  }

  async #start(): Promise<Docker.Container> {
    const script = `mkdir /web; echo hello >/web/index.html; head -c ${bigBytes} /dev/zero >/web/big; httpd -p ${webPort} -h /web; exec sleep ${lifetime}`;
    const container = await this.#create({
      Cmd: ['sh', '-c', script],
      Volumes: { '/volume': {} },
      ExposedPorts: { [`${webPort}/tcp`]: {} },
      HostConfig: {
        AutoRemove: true,
        PortBindings: { [`${webPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: '0' }] },
      },
    });
    try {
      await container.start();
      return container;
    } catch (error) {
      await container.remove({ force: true, v: true }).catch(() => undefined);
      throw error;
    }
  }

  #create(options: Docker.ContainerCreateOptions): Promise<Docker.Container> {
    return withImage(this.#client, [image], () =>
      this.#client.docker.createContainer({ Image: image, Labels: labels, ...options }),
    );
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}
