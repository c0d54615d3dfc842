// `pull`, and the pull that a missing image leads to.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseReference } from '../../registry/reference';
import { TransferProgress, type ProgressLine } from '../terminal/transfer-progress';
import { ClientError, type ApiClient } from './api-client';

/** Pulls it with the credentials of docker's configuration; progress goes to stderr, bars only where that is a terminal. */
export async function pull(client: ApiClient, image: string, { quiet = false } = {}): Promise<void> {
  const reference = /[:@][^/]+$/.test(image) ? image : `${image}:latest`;
  const authconfig = await credentials(image);
  try {
    const stream = await client.docker.pull(reference, authconfig === undefined ? {} : { authconfig });
    await followTransfer(client, stream, quiet);
  } catch (error) {
    const reason = client.explain(error);
    const status = reason instanceof ClientError ? reason.status : 0;
    throw new ClientError(status, `image ${image} could not be pulled: ${reason.message}`);
  }
}

/** `work`, and once more after a pull if it is for want of the image. */
export async function withImage<T>(
  client: ApiClient,
  images: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const reason = client.explain(error);
    const missing = images.find((image) => reason.message.includes(`No such image: ${image}`));
    if (!(reason instanceof ClientError) || reason.status !== 404 || missing === undefined) throw reason;
    process.stderr.write(`Unable to find image '${missing}' locally\n`);
    await pull(client, missing);
    return withImage(
      client,
      images.filter((image) => image !== missing),
      work,
    );
  }
}

/** Shows the lines of a pull or load until its end. Rejects with the error that they end with. */
export async function followTransfer(
  client: ApiClient,
  stream: NodeJS.ReadableStream,
  quiet: boolean,
): Promise<void> {
  const progress = new TransferProgress(process.stderr);
  try {
    await new Promise<void>((resolve, reject) => {
      client.docker.modem.followProgress(
        stream,
        (error) => {
          if (error === null) resolve();
          else reject(error);
        },
        (line: ProgressLine) => {
          if (!quiet) progress.take(line);
        },
      );
    });
  } finally {
    progress.end();
  }
}

/** What `docker login` has kept in its file; helpers are not asked. */
async function credentials(
  image: string,
): Promise<{ username: string; password: string; serveraddress: string } | undefined> {
  const path = join(process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
  const text = await readFile(path, 'utf8').catch(() => '{}');
  const { auths = {} } = JSON.parse(text) as { auths?: Record<string, { auth?: string }> };
  const { domain } = parseReference(image);
  const server = domain === 'docker.io' ? 'https://index.docker.io/v1/' : domain;
  const auth = auths[server]?.auth;
  if (auth === undefined || auth === '') return undefined;
  const [username = '', ...password] = Buffer.from(auth, 'base64').toString().split(':');
  return { username, password: password.join(':'), serveraddress: server };
}
