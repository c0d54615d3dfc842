// The dockerd of Debian's next release, which builds with BuildKit (scripts/fetch-dockerd.sh): what builds are compared with.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type GuardedProcess, startGuarded, waitReady } from '../process/guarded-process';
import { projectDir } from '../process/project-dir';
import { pings } from '../wire/http-client';
import type { NetworkNamespace } from '../network/network-namespace';

const unpacked = join(projectDir, 'build', 'trixie-engine', 'usr');

export const hasBuildKitOracle = existsSync(join(unpacked, 'sbin', 'dockerd'));

export interface BuildKitOracle {
  /** `unix://…` */
  readonly host: string;
  stop(): Promise<void>;
}

/**
 * Starts it inside the namespace, with a bridge and addresses that are not those of the other dockerd there. `dir` takes data, sockets
 * and logs. `config`: what its daemon.json says.
 */
export async function startBuildKitOracle(
  dir: string,
  namespace: Pick<NetworkNamespace, 'wrap'>,
  detached = false,
  config: Readonly<Record<string, unknown>> = {},
): Promise<BuildKitOracle> {
  mkdirSync(dir, { recursive: true });
  const configFile = join(dir, 'daemon.json');
  writeFileSync(configFile, JSON.stringify(config));
  const env = { PATH: `${unpacked}/bin:${unpacked}/sbin:${process.env['PATH'] ?? ''}` };
  const containerd = await startContainerd(dir, { namespace, env, detached });
  try {
    const host = `unix://${dir}/docker.sock`;
    const bridge = 'docker1';
    for (const command of [
      ['ip', 'link', 'add', bridge, 'type', 'bridge'],
      ['ip', 'address', 'add', '172.16.42.1/24', 'dev', bridge],
      ['ip', 'link', 'set', bridge, 'up'],
    ]) {
      const step = await startGuarded(namespace.wrap(command), { logPath: join(dir, 'bridge.log') });
      await step.exited;
    }
    const child = await startGuarded(
      namespace.wrap([
        // what runs containers sees the file systems that dockerd mounts for them
        ...['nsenter', `--mount=/proc/${containerd.process.pid}/ns/mnt`, join(unpacked, 'sbin', 'dockerd')],
        ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
        ...['--containerd', containerd.address, '--bridge', bridge],
        ...['--pidfile', join(dir, 'pid'), '--host', host, '--config-file', configFile],
      ]),
      { logPath: join(dir, 'dockerd.log'), env, detached },
    );
    const stop = async (): Promise<void> => {
      await child.stop();
      await containerd.process.stop();
    };
    try {
      await waitReady(child, () => pings(host));
    } catch (error) {
      await child.stop();
      throw error;
    }
    return { host, stop };
  } catch (error) {
    await containerd.process.stop();
    throw error;
  }
}

/** One of its own: that of dockerd's has 15 seconds to start, which a busy machine may not keep. */
async function startContainerd(
  dir: string,
  {
    namespace,
    env,
    detached,
  }: { namespace: Pick<NetworkNamespace, 'wrap'>; env: NodeJS.ProcessEnv; detached: boolean },
): Promise<{ address: string; process: GuardedProcess }> {
  const config = join(dir, 'containerd.toml');
  const address = join(dir, 'containerd.sock');
  writeFileSync(
    config,
    `version = 2
root = "${dir}/containerd"
state = "${dir}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
  address = "${address}"
`,
  );
  const program = join(unpacked, 'bin', 'containerd');
  const command = ['unshare', '--mount', '--propagation', 'shared', program, '--config', config];
  const child = await startGuarded(namespace.wrap(command), {
    logPath: join(dir, 'containerd.log'),
    env,
    detached,
  });
  await waitReady(child, () => Promise.resolve(existsSync(address)));
  return { address, process: child };
}
