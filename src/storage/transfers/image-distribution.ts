// `GET /distribution`: what a registry has under a name, without pulling it.

import type { Distribution } from '../contract/stores';
import { DaemonError } from '../../errors';
import { familiarName, familiarReference, parseReference } from '../../registry/reference';
import { RegistryClient, type FetchedManifest, type RegistryOptions } from '../../registry/registry-client';
import { plainError } from '../../registry/registry-errors';
import { parseConfig } from '../images/image-config';
import { parseManifest } from './manifest';
import type { RegistryAuth } from '../../registry/auth';

/** Throws NotFound, Unauthorized and others in the registry's words. */
export async function inspectDistribution(
  registry: RegistryOptions,
  text: string,
  auth: RegistryAuth,
  signal: AbortSignal,
): Promise<Distribution> {
  if (/^[a-f0-9]{64}$/.test(text)) throw new DaemonError('Internal', 'no manifest found for full image ID');
  const reference = parseReference(text);
  const client = new RegistryClient(reference.domain, auth, registry);
  const name = {
    path: reference.path,
    familiarName: familiarName(reference),
    familiar: familiarReference(reference),
  };
  const wanted = reference.digest ?? reference.tag ?? 'latest';
  const fetched = await client.manifest(name, wanted, signal, answerError);
  const manifest = parseManifest(fetched);
  const platforms =
    manifest.kind === 'index'
      ? manifest.manifests.flatMap(({ platform }) => platform ?? [])
      : [parseConfig((await client.config(name, manifest.config.digest, signal)).toString())];
  return {
    mediaType: mediaTypeOf(fetched),
    digest: fetched.digest,
    sizeBytes: fetched.body.length,
    platforms: platforms.map(({ os = '', architecture = '', variant }) => ({
      os,
      architecture,
      ...(variant === undefined || variant === '' ? {} : { variant }),
    })),
  };
}

/** The answer's header may say anything; the manifest itself knows better, where it says so. */
function mediaTypeOf({ mediaType, body }: FetchedManifest): string {
  const { mediaType: own } = Object(JSON.parse(body.toString())) as { mediaType?: unknown };
  return typeof own === 'string' ? own : mediaType;
}

function answerError(status: number, body: Buffer): DaemonError {
  const error = plainError(status, body);
  const code =
    status === 404 ? 'NotFound' : status === 401 ? 'Unauthorized' : status === 403 ? 'Forbidden' : error.code;
  return new DaemonError(code, error.message, { cause: error });
}
