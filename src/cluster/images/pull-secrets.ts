// `X-Registry-Auth` as Secrets of the namespace: nodes pull with what the client was let in with.

import { createHash } from 'node:crypto';
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

  /** What the Secret of that name has; nothing where there is none. */
  async read(name: string): Promise<RegistryAuth> {
    const data = await this.#secrets.get(name);
    const config = JSON.parse(data?.['.dockerconfigjson'] ?? '{}') as {
      auths?: Record<string, RegistryAuth>;
    }; // as keep writes it
    return Object.values(config.auths ?? {})[0] ?? {};
  }

  async remove(name: string): Promise<void> {
    await this.#secrets.remove(name);
  }
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
