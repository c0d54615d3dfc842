// The daemon's configuration, made by src/cli/daemon-config.ts from flags and file.

import type { LogFormat, LogLevel } from './log';

export type AcceleratorChoice = 'auto' | 'kvm' | 'tcg';

/** How many networks a VM can be on: its machine type has no hot-plug of NICs. */
export const nicsPerVm = 8;

/** What a reload (SIGHUP) may change: read it where it is needed and keep no copy. Only daemon/reload.ts writes it. */
export interface LiveConfig {
  /** dockerd's word for the level `debug` and the endpoints below /debug. */
  debug: boolean;
  logLevel: LogLevel;
  /** `key=value`, for `info`. */
  labels: readonly string[];
  /** Registry hosts reached over http or with unverified TLS, besides loopback. */
  insecureRegistries: readonly string[];
  /** URLs of mirrors of Docker Hub. */
  registryMirrors: readonly string[];
  /** Layers that one pull fetches at a time. */
  maxConcurrentDownloads: number;
  /** Layers that one push sends at a time. */
  maxConcurrentUploads: number;
  /** How often a layer's download that breaks is taken up again. */
  maxDownloadAttempts: number;
  /** How long the daemon's own end may take. */
  shutdownTimeoutSeconds: number;
  /** Size of /dev/shm of containers that name none. */
  defaultShmBytes: number;
}

export interface TlsConfig {
  /** Clients must have a certificate of the CA. */
  readonly verify: boolean;
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** What containers get that do not say otherwise. */
export interface ContainerDefaults {
  readonly init: boolean;
  readonly noNewPrivileges: boolean;
  readonly ulimits: readonly { Name: string; Soft: number; Hard: number }[];
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly ipcMode: string;
  /** Undefined: `private`, and `host` for privileged ones. */
  readonly cgroupnsMode: string | undefined;
  /** Instead of Docker's profile; `path` is what `info` shows. */
  readonly seccompProfile: { path: string; text: string } | undefined;
}

/** Of the default bridge, and the pools that subnets of other networks are chosen from. */
export interface NetworkDefaults {
  /** The gateway's address with the subnet's prefix length; undefined: 172.17.0.1/16. */
  readonly bridgeAddress: string | undefined;
  readonly fixedCidr: string | undefined;
  readonly mtu: number;
  readonly interContainer: boolean;
  readonly hostBindingAddress: string;
  /** Containers on the host's network have part in it. */
  readonly hostNetworking: boolean;
  /** The host itself reaches containers by their addresses, and has the gateways'. */
  readonly hostRoutes: boolean;
  /** What `host-gateway` stands for; undefined: the default bridge's gateway. */
  readonly hostGatewayAddress: string | undefined;
  /** Empty: dockerd's own. */
  readonly addressPools: readonly { base: string; size: number }[];
}

/** Of Pods: taints of nodes that don't keep them away. In Kubernetes' own form. */
export interface Toleration {
  readonly key: string;
  readonly operator: 'Equal' | 'Exists';
  readonly value?: string;
  /** None: of every effect. */
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

/** How ports of a container are published on a cluster: as listeners of the daemon, or as a Service of this type. */
export type PublishWay = 'listener' | 'NodePort' | 'LoadBalancer';

/** Of `--backend kubernetes`. */
export interface ClusterSettings {
  /** Undefined: KUBECONFIG, ~/.kube/config, or the service account of the Pod that the daemon is in. */
  readonly kubeconfig: string | undefined;
  /** Undefined: the file's own choice. */
  readonly context: string | undefined;
  readonly namespace: string;
  /** Of the Pods; undefined: the nodes' default runtime. */
  readonly runtimeClass: string | undefined;
  /** With process 1 of each Pod. */
  readonly supervisorImage: string;
  readonly serviceAccount: string | undefined;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  /** Milliseconds from their creation on that containers, networks and volumes with a label may be there, by its key. */
  readonly timesToLive: Readonly<Record<string, number>>;
  /** '': the cluster's default. */
  readonly storageClass: string;
  /** Of volumes that name no size. */
  readonly volumeSize: string;
  readonly volumeAccessMode: 'ReadWriteOnce' | 'ReadWriteMany';
  /** Of containers that ask for no other way. */
  readonly publishAs: PublishWay;
  /** Directories of nodes that may be bound, with what is below them. */
  readonly bindPaths: readonly string[];
  /** Where images go that are made here; `secret` lets daemon and nodes in. Undefined: none can be made. */
  readonly registry: { readonly repository: string; readonly secret: string | undefined } | undefined;
}

export interface Config extends Readonly<LiveConfig> {
  /** Undefined: containers run on this machine. */
  readonly cluster?: ClusterSettings;
  /** Persistent state: records, blobs, layers, disks, logs, templates. */
  readonly dataRoot: string;
  /** Sockets and pid files of the daemon and its VMs; gone after a host reboot. */
  readonly runDir: string;
  /** `unix:///path`, `tcp://host:port` or `fd://`, as in dockerd's `--host`. */
  readonly hosts: readonly string[];
  /** Of unix sockets, by name or number; undefined: `docker`, where there is one. */
  readonly socketGroup: string | undefined;
  /** For tcp addresses. */
  readonly tls?: TlsConfig;
  readonly pidFile: string | undefined;
  readonly logFormat: LogFormat;
  /** `host:port`. */
  readonly metricsAddress: string | undefined;
  /** Of the web page; undefined: there is none. */
  readonly web: { readonly address: string; readonly readOnly: boolean } | undefined;
  /** Where the web page was built to. */
  readonly webAssetsDir: string;
  /** dockerd's word for what it has on trial, checkpoints among them. Clients are told so. */
  readonly experimental: boolean;
  /** What clients are told to build with: those before 23.0 without another wish do so. */
  readonly preferredBuilder: 'classic' | 'buildkit' | undefined;
  readonly accelerator: AcceleratorChoice;
  /** Address space layout randomization in VMs whose CPUs are emulated. */
  readonly emulatedAslr: boolean;
  /** Where `npm run guest` left vmlinuz, initramfs and manifest.json. */
  readonly guestDir: string;
  /** Directory of the native helpers (vm-launch, …). */
  readonly nativeDir: string;
  readonly qemuBinary: string;
  /** Where static programs are that run those of other processors: `qemu-aarch64-static` and its like. */
  readonly emulatorDir: string;
  /** Idle clones kept ready. 0 turns the pool off. */
  readonly poolSize: number;
  /** Templates kept of other sizes than the usual one, made when a size is asked for again. */
  readonly sizedTemplates: number;
  /** `-m` of the template; container limits are cgroups inside. */
  readonly vmMemoryBytes: number;
  readonly vmCpus: number;
  /** First of the range of host uids that QEMU processes run as, one for each VM. Ignored without root. */
  readonly vmUidBase: number;
  /** Size of a container's writable disk (sparse). */
  readonly writableDiskBytes: number;
  readonly containerDefaults: ContainerDefaults;
  readonly networkDefaults: NetworkDefaults;
}

/** The first unix socket that the API listens on. */
export function apiSocketPath(hosts: readonly string[]): string | undefined {
  return hosts.find((host) => host.startsWith('unix://'))?.slice('unix://'.length);
}
