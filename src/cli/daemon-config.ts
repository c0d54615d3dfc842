// From what flags and file say to the daemon's Config.

import { readFileSync } from 'node:fs';
import { cpus, homedir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type {
  AcceleratorChoice,
  ClusterSettings,
  Config,
  LiveConfig,
  PublishWay,
  TlsConfig,
} from '../config';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';
import { parseGoDuration } from '../go/duration';
import { validateLogConfig } from '../engine/logs/log-config';
import type { LogFormat, LogLevel } from '../log';
import { readConfigFile } from './config-file';
import { givenFlags } from './daemon-options';
import type { KindValues, OptionKind, OptionValue } from './option-kinds';
import { parseToleration } from './toleration';

const projectDir = join(__dirname, '..', '..');
const gibibyte = 1024 ** 3;
/** Untouched memory of a guest costs nothing, so the template has as much as containers may ask for. */
const largestVmBytes = 8 * gibibyte;
export const defaultHost = 'unix:///run/caisson/caisson.sock';

/** Reads the configuration file that the command names and puts it together with its flags. Throws what is wrong. */
export async function loadConfig(command: Command): Promise<Config> {
  const flags = givenFlags(command);
  const { configFile } = command.opts<{ configFile?: string }>();
  const file = await readConfigFile(configFile, flags);
  return toConfig(new Settings(new Map([...file, ...flags])));
}

/** Values by key; a key has values of one kind (daemon-options.ts). */
class Settings {
  readonly #values: ReadonlyMap<string, OptionValue>;

  constructor(values: ReadonlyMap<string, OptionValue>) {
    this.#values = values;
  }

  get<Kind extends OptionKind>(_kind: Kind, key: string): KindValues[Kind] | undefined {
    return this.#values.get(key) as KindValues[Kind] | undefined; // as read by its kind
  }

  string(key: string): string | undefined {
    const text = this.get('string', key);
    return text === '' ? undefined : text;
  }
}

/** Throws InvalidParameter for values that do not go together. */
export function toConfig(settings: Settings): Config {
  const logging = {
    Type: settings.string('log-driver') ?? 'json-file',
    Config: settings.get('map', 'log-opts') ?? {},
  };
  try {
    validateLogConfig(logging);
  } catch (error) {
    throw new DaemonError('InvalidParameter', `failed to set log opts: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const tls = tlsConfig(settings);
  const cluster = clusterSettings(settings);
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...liveConfig(settings),
    dataRoot: resolve(settings.string('data-root') ?? '/var/lib/caisson'),
    runDir: resolve(settings.string('run-dir') ?? '/run/caisson'),
    hosts: nonEmpty(settings.get('list', 'hosts')) ?? [defaultHost],
    socketGroup: settings.string('group'),
    pidFile: settings.string('pidfile'),
    ...(tls === undefined ? {} : { tls }),
    logFormat: (settings.string('log-format') ?? 'text') as LogFormat, // one of its choices
    metricsAddress: settings.string('metrics-addr'),
    web: webConfig(settings),
    webAssetsDir: join(projectDir, 'dist', 'web-page'),
    experimental: settings.get('boolean', 'experimental') ?? false,
    preferredBuilder: builderOf(settings.get('switches', 'features')?.['buildkit']),
    accelerator: (settings.string('accel') ?? 'auto') as AcceleratorChoice, // one of its choices
    emulatedAslr: settings.get('boolean', 'emulated-aslr') ?? false,
    guestDir: resolve(settings.string('guest-dir') ?? join(projectDir, 'build', 'guest')),
    nativeDir: join(projectDir, 'build', 'native'),
    qemuBinary: settings.string('qemu') ?? '/usr/bin/qemu-system-x86_64',
    emulatorDir: resolve(settings.string('emulator-dir') ?? '/usr/bin'),
    poolSize: settings.get('integer', 'pool-size') ?? 3,
    sizedTemplates: settings.get('integer', 'vm-templates') ?? 2,
    vmMemoryBytes: Math.min(largestVmBytes, Math.floor(totalmem() / gibibyte) * gibibyte || gibibyte / 2),
    vmCpus: Math.max(1, cpus().length),
    vmUidBase: 1_650_000_000,
    writableDiskBytes: settings.get('size', 'storage-size') ?? 20 * gibibyte,
    containerDefaults: {
      init: settings.get('boolean', 'init') ?? false,
      noNewPrivileges: settings.get('boolean', 'no-new-privileges') ?? false,
      ulimits: Object.values(settings.get('ulimits', 'default-ulimits') ?? {}),
      logDriver: logging.Type,
      logOptions: logging.Config,
      dns: settings.get('list', 'dns') ?? [],
      dnsOptions: settings.get('list', 'dns-opts') ?? [],
      dnsSearch: settings.get('list', 'dns-search') ?? [],
      ipcMode: settings.string('default-ipc-mode') ?? 'private',
      cgroupnsMode: settings.string('default-cgroupns-mode'),
      seccompProfile: readSeccompProfile(settings.string('seccomp-profile')),
    },
    networkDefaults: {
      bridgeAddress: settings.string('bip'),
      fixedCidr: settings.string('fixed-cidr'),
      mtu: settings.get('integer', 'mtu') ?? 1500,
      interContainer: settings.get('boolean', 'icc') ?? true,
      hostNetworking: settings.get('boolean', 'host-networking') ?? true,
      hostRoutes: settings.get('boolean', 'host-routes') ?? false,
      hostBindingAddress: settings.string('ip') ?? '0.0.0.0',
      hostGatewayAddress: settings.string('host-gateway-ip'),
      addressPools: settings.get('address-pools', 'default-address-pools') ?? [],
    },
  };
}

function liveConfig(settings: Settings): LiveConfig {
  const debug = settings.get('boolean', 'debug') ?? false;
  return {
    debug: debug || settings.string('log-level') === 'debug',
    // dockerd's --debug wins over the level
    logLevel: debug ? 'debug' : ((settings.string('log-level') ?? 'info') as LogLevel), // one of its choices
    labels: settings.get('list', 'labels') ?? [],
    insecureRegistries: settings.get('list', 'insecure-registries') ?? [],
    registryMirrors: settings.get('list', 'registry-mirrors') ?? [],
    maxConcurrentDownloads: positive(settings.get('integer', 'max-concurrent-downloads')) ?? 3,
    maxConcurrentUploads: positive(settings.get('integer', 'max-concurrent-uploads')) ?? 5,
    maxDownloadAttempts: settings.get('integer', 'max-download-attempts') ?? 5,
    shutdownTimeoutSeconds: settings.get('integer', 'shutdown-timeout') ?? 15,
    defaultShmBytes: positive(settings.get('size', 'default-shm-size')) ?? 64 * 1024 ** 2,
  };
}

/** Throws InvalidParameter in dockerd's words. What is in it is looked at when a container starts, as dockerd does. */
function readSeccompProfile(path: string | undefined): { path: string; text: string } | undefined {
  if (path === undefined) return undefined;
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const reason = systemErrorCode(error) === 'ENOENT' ? 'no such file or directory' : errorMessage(error);
    throw new DaemonError(
      'InvalidParameter',
      `opening seccomp profile (${path}) failed: open ${path}: ${reason}`,
      {
        cause: error,
      },
    );
  }
}

function clusterSettings(settings: Settings): ClusterSettings | undefined {
  if ((settings.string('backend') ?? 'local') === 'local') return undefined;
  const supervisorImage = settings.string('kube-supervisor-image');
  if (supervisorImage === undefined)
    throw new DaemonError(
      'InvalidParameter',
      '--backend kubernetes needs --kube-supervisor-image: put the image of build/guest/supervisor/image.tar into a registry that the nodes reach',
    );
  return {
    kubeconfig: settings.string('kubeconfig'),
    context: settings.string('kube-context'),
    namespace: settings.string('kube-namespace') ?? 'default',
    runtimeClass: settings.string('kube-runtime-class'),
    supervisorImage,
    serviceAccount: settings.string('kube-service-account'),
    nodeSelector: settings.get('map', 'kube-node-selector') ?? {},
    tolerations: (settings.get('list', 'kube-tolerations') ?? []).map(parseToleration),
    timesToLive: timesToLive(settings.get('map', 'kube-ttls') ?? {}),
    storageClass: settings.string('kube-storage-class') ?? '',
    volumeSize: settings.string('kube-volume-size') ?? '10Gi',
    volumeAccessMode: (settings.string('kube-volume-access') ??
      'ReadWriteOnce') as ClusterSettings['volumeAccessMode'], // one of its choices
    publishAs: (settings.string('kube-publish') ?? 'listener') as PublishWay, // one of its choices
    bindPaths: settings.get('list', 'kube-bind-paths') ?? [],
    registry: ownRegistry(settings),
  };
}

/** Milliseconds by label. Throws InvalidParameter. */
function timesToLive(texts: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(texts).map(([label, text]) => {
      const time = parseGoDuration(text) ?? 0;
      if (time <= 0)
        throw new DaemonError(
          'InvalidParameter',
          `--kube-ttl: ${JSON.stringify(text)} is no time, such as 30m`,
        );
      return [label, time / 1e6];
    }),
  );
}

function ownRegistry(settings: Settings): ClusterSettings['registry'] {
  const repository = settings.string('kube-registry');
  const secret = settings.string('kube-registry-secret');
  if (repository !== undefined) return { repository, secret };
  if (secret === undefined) return undefined;
  throw new DaemonError('InvalidParameter', '--kube-registry-secret: there is no --kube-registry');
}

function webConfig(settings: Settings): Config['web'] {
  const address = settings.string('web');
  const readOnly = settings.get('boolean', 'web-read-only') ?? false;
  if (address !== undefined) return { address, readOnly };
  if (readOnly) throw new DaemonError('InvalidParameter', '--web-read-only: there is no page without --web');
  return undefined;
}

function tlsConfig(settings: Settings): TlsConfig | undefined {
  const verify = settings.get('boolean', 'tlsverify') ?? false;
  if (!verify && settings.get('boolean', 'tls') !== true) return undefined;
  const directory = process.env['DOCKER_CERT_PATH'] ?? join(homedir(), '.docker');
  const path = (key: string, name: string): string => settings.string(key) ?? join(directory, name);
  return {
    verify,
    caPath: path('tlscacert', 'ca.pem'),
    certPath: path('tlscert', 'cert.pem'),
    keyPath: path('tlskey', 'key.pem'),
  };
}

/** 0 stands for the default, as in dockerd. */
function positive(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

function nonEmpty<Item>(list: Item[] | undefined): Item[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function builderOf(buildKit: boolean | undefined): Config['preferredBuilder'] {
  if (buildKit === undefined) return undefined;
  return buildKit ? 'buildkit' : 'classic';
}
