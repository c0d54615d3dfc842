// Request bodies: read whole under a limit, then decoded by schema with dockerd's errors.

import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { DaemonError } from '../../errors';
import { JsonSyntaxError, parseFirstValue } from '../../go/json';
import type { ErrorCode } from '../../errors';
import { upgradedBody } from './hijack';
import { JsonTypeError, decode } from '../../go/json-schema';
import type { Schema } from '../../go/json-schema';

/** Larger than any sensible create body, which may carry a big environment. */
export const maxJsonBodyBytes = 16 * 2 ** 20;
/** A small body that takes longer than this is a stalled client. */
const bodyTimeoutMs = 60_000;

/**
 * The whole body. Throws TooLarge past `limit`, and InvalidParameter if the client stalls or leaves half way.
 */
export async function readBody(request: IncomingMessage, limit = maxJsonBodyBytes): Promise<Buffer> {
  const upgraded = upgradedBody(request, limit);
  if (upgraded !== undefined) return upgraded;
  if (declaredLength(request) > limit) throw tooLarge();
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => settle(new DaemonError('InvalidParameter', 'timeout reading request body')),
      bodyTimeoutMs,
    );
    function settle(error?: Error): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      if (error === undefined)
        resolve(parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts));
      else reject(error);
    }
    function onData(part: Buffer): void {
      length += part.length;
      if (length > limit) settle(tooLarge());
      else parts.push(part);
    }
    const onEnd = () => settle();
    const onClose = () => settle(new DaemonError('InvalidParameter', 'unexpected EOF'));
    const onError = (error: Error) =>
      settle(new DaemonError('InvalidParameter', 'unexpected EOF', { cause: error }));
    if (request.readableEnded) settle();
    else request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

function tooLarge(): DaemonError {
  return new DaemonError('TooLarge', 'http: request body too large');
}

/** Content-Length; 0 if there is none, −1 for a chunked body. */
export function declaredLength(request: IncomingMessage): number {
  if (request.headers['transfer-encoding'] !== undefined) return -1;
  return Number(request.headers['content-length'] ?? 0);
}

/** Also with parameters, if they are well-formed (RFC 9110, 8.3.1). */
const jsonMediaType =
  /^\s*application\/json\s*(;\s*[!#$%&'*+.^_`|~\w-]+=([!#$%&'*+.^_`|~\w-]+|"([^"\\]|\\.)*")\s*)*;?\s*$/i;

/** dockerd's check of the media type: a request without type and body passes. */
export function checkJsonContentType(request: Request): void {
  const type = request.headers['content-type'] ?? '';
  if (type === '' && declaredLength(request) === 0) return;
  if (jsonMediaType.test(type)) return;
  throw new DaemonError('InvalidParameter', `Content-Type specified (${type}) must be 'application/json'`);
}

/**
 * A JSON body whose errors dockerd reports as 400: exec, networks, volumes. The caller names the type that the schema
 * stands for.
 */
export async function readJson(request: Request, schema: Schema): Promise<unknown> {
  checkJsonContentType(request);
  return decodeBody(
    await readBody(request),
    schema,
    'InvalidParameter',
    'got EOF while reading request body',
  );
}

/** A JSON body whose errors dockerd 20.10 reports as 500: container create and update. */
export async function readLooseJson(request: Request, schema: Schema): Promise<unknown> {
  checkJsonContentType(request);
  return decodeBody(await readBody(request), schema, 'Internal', 'EOF');
}

/** Decodes bytes; null is `{}`, as it leaves a Go struct untouched. */
export function decodeBody(body: Buffer, schema: Schema, code: ErrorCode, emptyMessage: string): unknown {
  try {
    return decode(schema, parseFirstValue(body.toString())) ?? {};
  } catch (error) {
    if (error instanceof JsonTypeError) throw new DaemonError(code, error.message, { cause: error });
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new DaemonError(code, error.eof === 'empty' ? emptyMessage : error.message, { cause: error });
  }
}
