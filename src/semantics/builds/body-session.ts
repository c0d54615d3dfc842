// The body of a request as what a client's session would upload: the context of a build that has no session of the client's for it.

import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { BuildError } from '../../buildkit/contract/errors';
import type { SessionCaller } from '../../buildkit/contract/session';

const uploadPath = '/moby.upload.v1.Upload/Pull';

export class BodySession implements SessionCaller {
  readonly id = randomBytes(16).toString('hex');
  readonly name = '';
  readonly sharedKey = '';
  readonly closed: AbortSignal;
  /** Where frontends find it. */
  readonly url = `http://buildkit-session/${this.id}`;
  #body: NodeJS.ReadableStream | undefined;

  /** `closed`: the client is gone. */
  constructor(body: NodeJS.ReadableStream, closed: AbortSignal) {
    this.#body = body;
    this.closed = closed;
  }

  supports(method: string): boolean {
    return method === uploadPath;
  }

  /** Once: it can't be read again. */
  pullUpload(id: string, signal: AbortSignal): Readable {
    const body = this.#body;
    if (id !== this.id || body === undefined) throw new BuildError('NotFound', 'no such upload');
    this.#body = undefined;
    signal.throwIfAborted();
    return body instanceof Readable ? body : new Readable().wrap(body);
  }

  receiveFiles(): Promise<void> {
    return Promise.reject(unserved());
  }

  sendFiles(): Promise<void> {
    return Promise.reject(unserved());
  }

  sendFile(): never {
    throw unserved();
  }

  credentials(): Promise<{ username: string; secret: string }> {
    return Promise.resolve({ username: '', secret: '' });
  }

  fetchToken(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  secret(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  checkSshAgent(): Promise<void> {
    return Promise.reject(unserved());
  }

  connectSshAgent(): never {
    throw unserved();
  }

  readContent(): never {
    throw unserved();
  }

  writeContent(): Promise<void> {
    return Promise.reject(unserved());
  }
}

function unserved(): BuildError {
  return new BuildError('Unimplemented', 'the body of a request serves nothing but itself');
}
