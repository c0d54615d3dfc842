// Debian's docker-registry on loopback inside the tests' namespace, on a directory the tests own.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type GuardedProcess, startGuarded, waitReady } from '../process/guarded-process';
import type { NetworkNamespace } from '../network/network-namespace';

export interface RegistryOptions {
  dir: string;
  namespace: NetworkNamespace;
  port: number;
  /** A registry's storage to start from; it is copied. */
  seed?: string;
  /** Path of an htpasswd file: the registry then asks for a user. */
  htpasswd?: string;
  detached?: boolean;
}

/** Starts a registry that answers on 127.0.0.1:port in the namespace. */
export async function startRegistry(options: RegistryOptions): Promise<GuardedProcess> {
  const storage = join(options.dir, 'storage');
  mkdirSync(storage, { recursive: true });
  if (options.seed !== undefined) cpSync(options.seed, storage, { recursive: true });
  const config = join(options.dir, 'config.json');
  writeFileSync(
    config,
    // a JSON document is a YAML document
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${options.port}` },
      ...(options.htpasswd === undefined
        ? {}
        : { auth: { htpasswd: { realm: 'test', path: options.htpasswd } } }),
    }),
  );
  const child = await startGuarded(options.namespace.wrap(['docker-registry', 'serve', config]), {
    logPath: join(options.dir, 'registry.log'),
    ...(options.detached === undefined ? {} : { detached: options.detached }),
  });
  const answers = (): Promise<boolean> => {
    try {
      const args = ['-s', '-o', '/dev/null', '--max-time', '5', `http://127.0.0.1:${options.port}/v2/`];
      options.namespace.run('curl', args);
      return Promise.resolve(true);
    } catch {
      return Promise.resolve(false);
    }
  };
  await waitReady(child, answers);
  return child;
}
