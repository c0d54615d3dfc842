// What goes wrong with registries, in the words of dockerd (checked against version 20.10): clients match on them.

import { STATUS_CODES } from 'node:http';
import { DaemonError, errorMessage } from '../errors';
import { goQuote } from '../go/quote';

/** Message of each code of the distribution-spec when the registry adds nothing of its own. */
const defaultMessages: Record<string, string> = {
  BLOB_UNKNOWN: 'blob unknown to registry',
  DENIED: 'requested access to the resource is denied',
  MANIFEST_UNKNOWN: 'manifest unknown',
  NAME_INVALID: 'invalid repository name',
  NAME_UNKNOWN: 'repository name not known to registry',
  TOOMANYREQUESTS: 'too many requests',
  UNAUTHORIZED: 'authentication required',
  UNAVAILABLE: 'service unavailable',
  UNSUPPORTED: 'The operation is unsupported.',
};

interface RegistryErrorItem {
  code: string;
  message: string;
  detail: unknown;
}

/** The names in a message: `familiarName` without tag, `familiar` as asked for. */
export interface NamedImage {
  familiarName: string;
  familiar: string;
}

/** The error that an answer other than 2xx to a question about an image means. */
export function registryError(status: number, body: Buffer, image: NamedImage): DaemonError {
  const isEmpty404 = status === 404 && body.length === 0;
  const { item, isBare, error } = readError(status, body);
  if (isEmpty404) {
    return new DaemonError('NotFound', `manifest for ${image.familiar} not found: manifest unknown`);
  }
  if (item === undefined || isBare) return error;
  const text = error.message;
  switch (item.code) {
    case 'DENIED':
      return new DaemonError(
        'NotFound',
        `pull access denied for ${image.familiarName}, repository does not exist or may require 'docker login': ${text}`,
      );
    case 'MANIFEST_UNKNOWN':
      return new DaemonError('NotFound', `manifest for ${image.familiar} not found: ${text}`);
    case 'NAME_UNKNOWN':
      return new DaemonError('NotFound', `repository ${image.familiarName} not found: ${text}`);
    default:
      return error;
  }
}

/** The same for what writes to a registry, and for `distribution`: only what the registry says. */
export function plainError(status: number, body: Buffer): DaemonError {
  return readError(status, body).error;
}

/** What the registry says, in the form of Docker's client. `isBare`: only a code. */
function readError(
  status: number,
  body: Buffer,
): { item?: RegistryErrorItem; isBare: boolean; error: DaemonError } {
  if (status >= 500) return { isBare: false, error: unexpectedStatus(status) };
  const item = parseError(body);
  if (item === undefined) {
    const text = body.toString('utf8', 0, 200);
    const message =
      status === 401
        ? 'unauthorized: authentication required'
        : `error parsing HTTP ${status} response body: ${JSON.stringify(text)}`;
    return { isBare: false, error: new DaemonError('Internal', message) };
  }
  const isKnown = Object.hasOwn(defaultMessages, item.code);
  const code = isKnown ? item.code.toLowerCase().replaceAll('_', ' ') : 'unknown';
  // Docker's client takes an error without anything of its own for the bare code.
  const isBare = (item.detail ?? null) === null && item.message === defaultMessages[item.code];
  return { item, isBare, error: new DaemonError('Internal', isBare ? code : `${code}: ${item.message}`) };
}

/** The error that an answer other than 2xx to a question for a blob means. */
export function blobError(status: number, body: Buffer, image: NamedImage): DaemonError {
  return status === 404 ? new DaemonError('Internal', 'unknown blob') : registryError(status, body, image);
}

export function unexpectedStatus(status: number): DaemonError {
  return new DaemonError(
    'Internal',
    `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`.trim(),
  );
}

/** There is no way in with these credentials: nothing to try again. */
export class CredentialsError extends DaemonError {
  /** Without what was asked. */
  readonly reason: string;

  constructor(method: string, url: string, reason: string, cause?: unknown) {
    super('Internal', requestError(method, url, new Error(reason)).message, { cause });
    this.reason = reason;
  }
}

/** What Go's HTTP client says of a request that got no answer: `Get "https://…": why`. */
export function requestError(method: string, url: string, error: unknown): DaemonError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new DaemonError('Internal', `${verb} "${url}": ${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  const { code, address, port, hostname, cert } = Object(error) as {
    code?: string;
    address?: string;
    port?: number;
    hostname?: string;
    cert?: { subjectaltname?: string };
  };
  const dial = `dial tcp ${address?.includes(':') === true ? `[${address}]` : (address ?? '')}:${port ?? ''}`;
  switch (code) {
    case 'ECONNREFUSED':
      return `${dial}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `${dial}: connect: no route to host`;
    case 'ENETUNREACH':
      return `${dial}: connect: network is unreachable`;
    case 'ETIMEDOUT':
      return `${dial}: i/o timeout`;
    case 'ENOTFOUND':
      return `dial tcp: lookup ${hostname ?? ''}: no such host`;
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${hostname ?? ''}: Temporary failure in name resolution`;
    case 'ECONNRESET':
      return 'EOF';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'x509: certificate signed by unknown authority';
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return 'x509: certificate has expired or is not yet valid';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `x509: certificate is valid for ${cert?.subjectaltname ?? 'other names'}, not this host`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'http: server gave HTTP response to HTTPS client';
    default:
      return code?.startsWith('HPE_') === true ? malformedAnswer(error) : errorMessage(error);
  }
}

function malformedAnswer(error: unknown): string {
  const { rawPacket } = Object(error) as { rawPacket?: Buffer };
  const [line = ''] = (rawPacket?.toString() ?? '').split(/\r?\n/);
  return `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${goQuote(line)}`;
}

/** The first error of the body; undefined when it has none. */
function parseError(body: Buffer): RegistryErrorItem | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  const { errors } = Object(value) as { errors?: unknown };
  if (!Array.isArray(errors) || errors.length === 0) return undefined;
  const { code, message, detail } = Object(errors[0]) as Record<string, unknown>;
  const text = typeof code === 'string' ? code : '';
  return {
    code: text,
    message: typeof message === 'string' ? message : (defaultMessages[text] ?? ''),
    detail,
  };
}
