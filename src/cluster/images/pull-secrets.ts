// `X-Registry-Auth` as Secrets of the namespace: nodes pull with what the client was let in with.

import { createHash } from 'node:crypto';
import { DaemonError, errorMessage } from '../../errors';
import type { RegistryAuth } from '../../registry/auth';

/** Of the namespace. */
export interface SecretStore {
  /** Makes it, or lets it have these contents. */
  put(name: string, type: string, data: Readonly<Record<string, string>>): Promise<void>;
  /** Undefined where there is none. */
  get(name: string): Promise<Readonly<Record<string, string>> | undefined>;
  /** Does nothing where there is none. */
  remove(name: string): Promise<void>;
}

/** What kubelet looks for in a Secret of this type. */
const secretType = 'kubernetes.io/dockerconfigjson';
/** Of those that were made of what clients sent. */
const keptName = /^registry-[0-9a-f]{24}$/;
const hubHosts = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

export class PullSecrets {
  readonly #secrets: SecretStore;

  constructor(secrets: SecretStore) {
    this.#secrets = secrets;
  }

  /** Resolves with the name of the Secret for a registry; undefined where the client has sent nothing that it could hold. */
  async keep(domain: string, auth: RegistryAuth): Promise<string | undefined> {
    const entry = configEntry(auth);
    if (entry === undefined) return undefined;
    const host = hubHosts.includes(domain) ? 'https://index.docker.io/v1/' : domain;
    const text = JSON.stringify({ auths: { [host]: entry } });
    // Of the same contents the same name: who may pull twice needs one.
    const name = `registry-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    await this.#secrets.put(name, secretType, { '.dockerconfigjson': text });
    return name;
  }

  /** What the Secret of that name has for a registry; nothing where there is none. It may be the operator's own. */
  async read(name: string, domain: string): Promise<RegistryAuth> {
    const data = await this.#secrets.get(name);
    const auths = authsOf(data?.['.dockerconfigjson'] ?? '');
    const host = Object.keys(auths).find((key) => {
      const bare = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
      return bare === domain || (hubHosts.includes(bare) && hubHosts.includes(domain));
    });
    return host === undefined ? {} : withPassword(auths[host] ?? {});
  }

  /** Does nothing to one of the operator's own. */
  async remove(name: string): Promise<void> {
    if (keptName.test(name)) await this.#secrets.remove(name);
  }
}

/** Throws Internal for what kubelets could not read either. */
function authsOf(text: string): Record<string, RegistryAuth> {
  if (text === '') return {};
  try {
    const { auths } = Object(JSON.parse(text)) as { auths?: unknown };
    return Object(auths) as Record<string, RegistryAuth>; // what is none of it has no such members
  } catch (error) {
    throw new DaemonError('Internal', `a pull secret is no JSON: ${errorMessage(error)}`, { cause: error });
  }
}

/** `kubectl create secret docker-registry` writes both forms, `docker login` the encoded one. */
function withPassword(entry: RegistryAuth): RegistryAuth {
  const { auth = '', username = '', password = '' } = entry;
  if (auth === '' || username !== '' || password !== '') return entry;
  const text = Buffer.from(auth, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? entry : { ...entry, username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function configEntry(auth: RegistryAuth): Record<string, string> | undefined {
  const { username = '', password = '', identitytoken = '', registrytoken = '' } = auth;
  if (identitytoken !== '') return { auth: encoded(username, ''), identitytoken };
  if (registrytoken !== '') return { registrytoken };
  if (username !== '') return { username, password, auth: encoded(username, password) };
  return (auth.auth ?? '') === '' ? undefined : { auth: auth.auth ?? '' };
}

function encoded(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}
