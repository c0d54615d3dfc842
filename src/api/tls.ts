// TLS of the daemon's tcp addresses, as dockerd's --tls and --tlsverify.

import { readFileSync } from 'node:fs';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';

export interface TlsFiles {
  /** Clients must have a certificate of the CA. */
  verify: boolean;
  caPath: string;
  certPath: string;
  keyPath: string;
}

/** A handshake that takes longer is a client's that does not mean it. */
const handshakeTimeoutMs = 10_000;

/** Reads the files. Throws InvalidParameter, in dockerd's words, for what cannot be read or used. */
export function tlsOptions({ verify, caPath, certPath, keyPath }: TlsFiles): TlsOptions {
  const pair = `(cert: ${JSON.stringify(certPath)}, key: ${JSON.stringify(keyPath)})`;
  const refuse = (cause: unknown): never => {
    throw new DaemonError(
      'InvalidParameter',
      `Could not load X509 key pair ${pair}: ${errorMessage(cause)}`,
      { cause },
    );
  };
  const options: TlsOptions = { minVersion: 'TLSv1.2', handshakeTimeout: handshakeTimeoutMs };
  try {
    options.cert = read(certPath);
    options.key = read(keyPath);
    createSecureContext(options); // a key of another certificate is found out here
  } catch (error) {
    refuse(error);
  }
  if (!verify) return options;
  try {
    const ca = read(caPath);
    createSecureContext({ ca });
    return { ...options, ca, requestCert: true, rejectUnauthorized: true };
  } catch (error) {
    throw new DaemonError(
      'InvalidParameter',
      `could not read CA certificate ${JSON.stringify(caPath)}: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = systemErrorCode(error) === 'ENOENT' ? 'no such file or directory' : errorMessage(error);
    throw new Error(`open ${path}: ${reason}`, { cause: error });
  }
}
