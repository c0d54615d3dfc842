// The wire contract with the in-guest agent (guest/init). docs/agent-protocol.md is its prose; numbers equal
// protocol/agent.h, and a test compares the three.

/** The newest version that both sides of this release speak, and the oldest: a connection has the newest that both its ends know. */
export const protocolVersion = 1;
export const oldestProtocolVersion = 1;

/** Name of the virtio-serial port in the guest: /dev/virtio-ports/<name>. */
export const agentPortName = 'caisson.agent.0';

/** Bytes of the frame header: type u8, flags u8, zero u8 × 2, channel u32, length u32, check u32 (all little endian). */
export const frameHeaderBytes = 16;
/** `check` is type ^ flags << 8 ^ channel ^ length ^ this, so a run of zeros is never a header. */
export const frameCheckSeed = 0x43414953;
/** Flag: this REQUEST or RESPONSE goes on in the next frame of the same type and channel. */
export const frameFlagMore = 1;
/** u32 after the payload; tells a whole frame from one that was cut and filled up with the sync preamble's zeros. */
export const frameTrailer = 0x21444e45;
export const frameTrailerBytes = 4;
/** Largest payload of one frame. */
export const maxPayloadBytes = 65_536;

/** A sender may have this many bytes of a channel beyond the last acknowledged offset. */
export const channelWindowBytes = 262_144;
/** Channels opened by the guest (tunnels) have this bit; all others are numbered by the host. Channel 0 is control. */
export const guestChannelBit = 0x8000_0000;

/** Kinds of records of a stream that goes by the bulk disk: u32 kind, u32 length. */
export const bulkPlain = 1;
export const bulkSlot = 2;
export const bulkRecordBytes = 8;
/** So much of a stream goes as plain bytes before slots are used; records of plain bytes have no more. */
export const bulkPlainBytes = 65_536;

/** Where the agent mounts the VM's file server, and where it listens for connections to the host's sockets. */
export const sharesDirectory = '/run/shares';
export const tunnelsDirectory = '/run/tunnels';

/** Host → guest at the start of every connection: zeros (a frame's maximum), this magic, a 16-byte nonce. */
export const syncMagic = 'CAISSON-SYNC-v1\n';
export const syncNonceBytes = 16;
export const syncPreambleZeros = maxPayloadBytes + frameHeaderBytes + frameTrailerBytes;

export const FrameType = {
  /** JSON AgentHello (guest) or {version} (host: the one chosen); first frame each way after sync. */
  hello: 1,
  /** Host → guest. Channel field = request id. JSON {op, ...params}. */
  request: 2,
  /** Guest → host. Channel field = request id. JSON {result} or {error: AgentFailure}. */
  response: 3,
  /** Guest → host. Channel 0. JSON AgentEvent; re-sent after a re-connection until acknowledged. */
  event: 4,
  /** Host → guest. Payload u64 seq: this event and all before it are recorded. */
  eventAck: 5,
  /** Both ways. Payload u64 offset of the first byte, then bytes. */
  data: 6,
  /** Both ways. Payload u64 offset: every byte before it is consumed (container output: is on disk). */
  ack: 7,
  /** Both ways. Payload u64 final offset: the sender will send no more bytes. */
  eof: 8,
  /** Both ways. The receiver wants no more of this channel: what is queued is dropped, what comes is thrown away. */
  reset: 9,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Why a request failed. `phase: 'exec'` means the command itself could not be run (Docker's 126 and 127). */
export interface AgentFailure {
  /** Symbolic errno, `ENOENT`. */
  code: string;
  phase:
    'request' | 'disk' | 'mount' | 'network' | 'namespace' | 'user' | 'cgroup' | 'security' | 'exec' | 'io';
  /** What was attempted, on what: `mount /dev/sda on layer 0`. */
  message: string;
}

export type ProcessState = 'running' | 'exited';

export interface ExitStatus {
  /** 0–255, or 128 + signal, as Docker reports it. */
  exitCode: number;
  /** Signal number that killed the process, else 0. */
  signal: number;
  oomKilled: boolean;
  /** Milliseconds since the epoch, by the guest's clock. */
  timeMs: number;
}

/** What the guest still knows, told at every connection, so that a new daemon can adopt a running VM. */
export interface AgentHello {
  /** The one that the connection speaks; on the wire the agent's newest, and `oldest` beside it (vm/agent/versions.ts). */
  version: number;
  /** Id of the agent's build. */
  build: string;
  /** Whether `identity` was ever answered: a clone that lost its daemon before that is useless. */
  identified: boolean;
  pod: boolean;
  containers: { id: string; pid: number; state: ProcessState }[];
  execs: { id: string; containerId: string; pid: number; state: ProcessState }[];
  channels: AgentChannelState[];
}

export interface AgentChannelState {
  channel: number;
  /** Guest-to-host bytes acknowledged so far (re-sending starts here), and produced so far. */
  outAcked: number;
  outEnd: number;
  /** Host-to-guest bytes received so far: the host goes on from here. */
  inReceived: number;
}

export type AgentEvent =
  | { seq: number; event: 'exit'; kind: 'container' | 'exec'; id: string; status: ExitStatus }
  | { seq: number; event: 'oom'; containerId: string };

/** Capability names are without prefix case changes: `CAP_SYS_ADMIN`. Signals are numbers; names are resolved by the host. */
export interface GuestProcess {
  args: string[];
  /** `NAME=value`, complete but for HOME, which the agent adds from the image's passwd when it is missing. */
  env: string[];
  cwd: string;
  /** As in Docker's Config.User: '', 'name', 'uid', 'name:group', 'uid:gid'; resolved in the container's root. */
  user: string;
  /** Names or numbers, in addition to those of the user in /etc/group. */
  additionalGroups: string[];
  terminal: boolean;
  consoleSize?: { rows: number; columns: number };
  /** Bounding, effective and permitted set (and inheritable empty, as Docker ≥ 20.10.14). */
  capabilities: string[];
  noNewPrivileges: boolean;
  rlimits: { type: string; soft: number; hard: number }[];
  oomScoreAdj: number;
  /** 'default' is Docker's default profile for `capabilities`; an object is a profile in Docker's JSON form. */
  seccomp: 'default' | 'unconfined' | Record<string, unknown>;
  /** Channels; absent means /dev/null. With a terminal, stdout carries everything and stderr is absent. */
  stdin?: number;
  stdout?: number;
  stderr?: number;
}

/** A hot-plugged disk: LUN of the one virtio-scsi controller, and a partition of it if it is a bundle of layers. */
export interface GuestDisk {
  lun: number;
  /** 1-based partition; absent: the whole disk. */
  partition?: number;
}

/**
 * A file system beside the container's root, mounted in the VM. Without `disk` it is these layers (top first), and what is changed is
 * on the container's writable disk; with it, it is a directory of that ext4 disk, which is filled with the layers when it has none yet.
 */
export interface GuestTree {
  layers: GuestDisk[];
  disk?: GuestDisk;
}

/**
 * `type` as in mount(2); `source` is a path in the VM for binds. Options are fstab words (`nosuid`, `size=64m`). Type `shm` is
 * shared memory: of source '' the container's own, which others may join; `pod` the Pod's; else that of the container named. Type
 * `tree` is `subpath` of the container's tree whose number `source` is.
 */
export interface GuestMount {
  type: string;
  source: string;
  target: string;
  options: string[];
  /** Copy what the image has at `target` into the source first, if that is empty: a volume's first use. */
  populate?: boolean;
  /** Of type `tree`: what of it is mounted, a directory or a file; `/` for all. */
  subpath?: string;
}

/**
 * Runs programs of another processor: the disk's bytes are a static program, which the agent copies into the VM's memory and registers
 * with the kernel, once. Which ELF files it is for: `machine` is their e_machine.
 */
export interface GuestEmulator {
  disk: GuestDisk;
  name: string;
  machine: number;
  bits: 32 | 64;
  bigEndian: boolean;
}

/** The host's: a static program, that a VM gets as a disk. */
export interface Emulator extends Readonly<Omit<GuestEmulator, 'disk'>> {
  readonly hostPath: string;
}

/** A small file given by the daemon (/etc/hosts …), bind-mounted over `path` from a tmpfs outside the container's root. */
export interface GuestFile {
  path: string;
  /** Id of the container in the same VM whose file of this path it is; the content given here is not used then. */
  of?: string;
  contentBase64: string;
  mode: number;
  /** Both or none; absent: root's. */
  uid?: number;
  gid?: number;
  readonly: boolean;
}

export interface GuestDevice {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  mode: number;
  uid: number;
  gid: number;
}

/** cgroup v2 values by file name: `{"memory.max": "67108864", "pids.max": "100"}`; written in order. */
export type GuestCgroup = Record<string, string>;

/** Device rules as Docker's DeviceCgroupRules: the agent turns them into a cgroup BPF program. */
export interface GuestDeviceRule {
  allow: boolean;
  type: 'a' | 'c' | 'b';
  /** -1 is any. */
  major: number;
  minor: number;
  /** Subset of `rwm`. */
  access: string;
}

/** Whose namespace a container runs in; a container that is named must run in the same VM. */
export type SharedNamespace = 'container' | 'pod' | 'vm' | `container:${string}`;

export interface GuestContainerSpec {
  id: string;
  rootfs: {
    /** Lowest layer last, as overlayfs' lowerdir wants them. */
    layers: GuestDisk[];
    /** ext4; holds `upper` and `work`. */
    writable: GuestDisk;
    /** Of that disk, where several containers have it: its own, made if it isn't there. */
    directory?: string;
    readonly: boolean;
  };
  process: GuestProcess;
  /** A minimal init as PID 1 of the container (docker run --init). */
  init: boolean;
  /** `pod`: shares the Pod's PID namespace; `container`: own; `vm`: the VM's own (pid=host); else that of the one named. */
  pidNamespace: SharedNamespace;
  ipcNamespace: SharedNamespace;
  /** `container`: its own, with the name `hostname`. */
  utsNamespace: 'pod' | 'vm' | 'container';
  hostname?: string;
  /** `container`: its own, with nothing but a loopback. */
  networkNamespace: 'pod' | 'vm' | 'container';
  cgroupNamespace: 'container' | 'vm';
  /** What mounts of type `tree` show. */
  trees?: GuestTree[];
  /** Absent: its programs are the processor's. */
  emulator?: GuestEmulator;
  /** In mount order. The agent adds nothing of its own but /dev's symlinks and the device nodes. */
  mounts: GuestMount[];
  files: GuestFile[];
  devices: GuestDevice[];
  deviceRules: GuestDeviceRule[];
  maskedPaths: string[];
  readonlyPaths: string[];
  cgroup: GuestCgroup;
  /** Values of io.max and io.weight for each of the container's disks, without the disk's numbers: `rbps=1048576`. */
  blockIo?: GuestCgroup;
  /** Container-level sysctls (kernel.*, fs.mqueue.*) in namespaces the container has of its own. */
  sysctls: Record<string, string>;
  /** Whole VM: all devices, no masking, writable /proc and /sys and cgroup. */
  privileged: boolean;
  /** Runs nothing: the file system is there, for jobs, until the container is killed. */
  hold?: boolean;
  /** A build's step: it has no /.dockerenv, and mount points that are made in its root are noted for the job `layer`. */
  step?: boolean;
}

export interface GuestInterface {
  /** Index of the VM's pre-provisioned NIC; 0 is the first. */
  nic: number;
  /** Name in the Pod: `eth0`. */
  name: string;
  mac: string;
  /** CIDR, IPv4 and IPv6. */
  addresses: string[];
  mtu: number;
}

export interface GuestRoute {
  destination: string;
  gateway?: string;
  interface: string;
}

export interface GuestPodSpec {
  id: string;
  hostname: string;
  domainname: string;
  interfaces: GuestInterface[];
  routes: GuestRoute[];
  /** net.*, kernel.shm*, … of the Pod's namespaces; others are the whole VM's. */
  sysctls: Record<string, string>;
  /** Addresses of the DNS servers that the agent's forwarder on 127.0.0.11:53 asks; empty: no forwarder. */
  dnsForward: string[];
  /** On the host's network: where 127.0.0.1 leads when no process of the Pod listens there. IPv4. */
  hostLoopback?: string;
}

/** A socket of the Pod's network that waits for connections or datagrams. */
export interface GuestListener {
  protocol: 'tcp' | 'udp';
  /** As inet_ntop(3) has it. */
  address: string;
  port: number;
  /** A port of the Pod's that leads to it, for the asker's `peer` alone; 0: there is none, and none is needed. */
  relay: number;
}

/** A job's part of the bulk disk. */
export interface GuestBulkArea {
  /** Where it begins on the disk, bytes. */
  offset: number;
  slotBytes: number;
  slots: number;
}

/** Paths are absolute, in the container; links are followed in it and never leave it. */
export type GuestJob =
  /** To stdout: `mode size seconds nanoseconds targetMode`, NUL, where it is, NUL, a link's target, NUL, where the path leads. */
  | { kind: 'stat'; path: string }
  /** A tar of `path` with `name` as its first element. */
  | { kind: 'archive'; path: string; name: string }
  /** Unpacks stdin, an uncompressed tar, in the directory `path`. */
  | {
      kind: 'extract';
      path: string;
      noOverwriteDirNonDir: boolean;
      /** Everything belongs to uid and gid. */
      setOwner: boolean;
      uid: number;
      gid: number;
    }
  /** A tar of all that is not mounted. */
  | { kind: 'export' }
  /**
   * What the container changed, as the tar of a layer; with `tree` in the tree of that number. `stubs`: first what is left of the mount
   * points that a step got made in its root is removed, or `all` with the directories made on the way. Its processes are gone then.
   */
  | { kind: 'layer'; tree?: number; stubs?: 'points' | 'all' }
  /** Its list: a letter (A, C, D) and a path, each ended by NUL. */
  | { kind: 'changes' }
  /** The bytes of the files that it wrote, as a decimal number. */
  | { kind: 'usage' };

/** Parameters and result of every operation. */
export interface AgentOperations {
  /** First request to every clone. Entropy is credited (RNDADDENTROPY) and the CRNG reseeded before it answers. */
  identity: {
    params: { entropyBase64: string; timeSeconds: number; timeNanoseconds: number; machineId: string };
    result: Record<string, never>;
  };
  /** Adds to the guest's wall clock (0 only asks), and tells what it shows then, in microseconds since the epoch. */
  clock: { params: { adjustUsec: number }; result: { timeUsec: number } };
  /** Creates the Pod's net, ipc and uts namespaces and configures its interfaces. Once per Pod. */
  'pod.setup': { params: { pod: GuestPodSpec }; result: Record<string, never> };
  /** For a VM from a checkpoint: replaces the Pod's id, host name, interfaces, routes and name servers. */
  'pod.renew': { params: { pod: GuestPodSpec }; result: Record<string, never> };
  /**
   * Kills every process of the Pod there is, and sets up another in its place, with namespaces of its own. The containers of
   * the old one wait, mounted, for `container.remove`.
   */
  'pod.replace': { params: { pod: GuestPodSpec }; result: Record<string, never> };
  /** Adds or changes one interface of the running Pod; replaces the addresses it had. */
  'pod.interface.add': {
    params: { interface: GuestInterface; routes: GuestRoute[] };
    result: Record<string, never>;
  };
  /** Takes the interface out of the Pod and resets its NIC (down, template name and MAC, no addresses). */
  'pod.interface.remove': { params: { nic: number }; result: Record<string, never> };
  /** Makes the forwarder on 127.0.0.11 ask these servers from now on; none: there is no forwarder. */
  'pod.dns': { params: { servers: string[] }; result: Record<string, never> };
  /**
   * What listens in the Pod, at most 256 sockets of which clients' UDP sockets are none: once it is another list than that of
   * generation `after` (0: none), or after `waitMs`. Of several that ask the last is answered. What listens on the loopback is let
   * through to `peer` (IPv4). `left`: how many sockets more there are.
   */
  'pod.listeners': {
    params: { after: number; waitMs: number; peer: string };
    result: { generation: number; listeners: GuestListener[]; left: number };
  };
  /** Replaces the content of a file given in GuestContainerSpec.files, in place (same inode). */
  'container.file': {
    params: { id: string; path: string; contentBase64: string };
    result: Record<string, never>;
  };
  /** Waits for the disks, mounts, makes the namespaces and runs the process. pid is the VM's, of the container's PID 1. */
  'container.start': { params: { container: GuestContainerSpec }; result: { pid: number } };
  /** To the container's PID 1 (all: to each of its processes). ESRCH once it has exited. */
  'container.signal': { params: { id: string; signal: number; all: boolean }; result: Record<string, never> };
  /** cgroup.freeze. */
  'container.freeze': { params: { id: string; frozen: boolean }; result: Record<string, never> };
  /** Writes cgroup v2 files of a running container. */
  'container.update': { params: { id: string; cgroup: GuestCgroup }; result: Record<string, never> };
  /** For a VM from a checkpoint: its container goes on under another id. Harmless twice. */
  'container.rename': { params: { id: string; newId: string }; result: Record<string, never> };
  'container.stats': { params: { id: string }; result: ContainerStats };
  /** Runs the guest's ps with these arguments; `pids` are the container's, in the VM's PID namespace. */
  'container.top': { params: { id: string; psArgs: string[] }; result: { output: string; pids: number[] } };
  /** After exit: unmounts and forgets it, so that its disks can be unplugged. Syncs if `sync`. */
  'container.remove': { params: { id: string; sync: boolean }; result: Record<string, never> };
  'exec.start': {
    params: { id: string; containerId: string; process: GuestProcess };
    result: { pid: number };
  };
  /** A job of the agent's own on the container's files. Its exit is that of an exec: 0, or an errno, with text on stderr. */
  'job.start': {
    params: {
      id: string;
      containerId: string;
      /** `bulk`: of kinds that carry an archive, which then goes as records on stdin (extract) or stdout. */
      job: GuestJob & { bulk?: GuestBulkArea };
      stdin: number;
      stdout: number;
      stderr: number;
    };
    result: { pid: number };
  };
  /** id of a container, an exec or a job. */
  'process.signal': { params: { id: string; signal: number }; result: Record<string, never> };
  'process.resize': { params: { id: string; rows: number; columns: number }; result: Record<string, never> };
  /** Kills every process of the Pod, syncs, unmounts everything, drops namespaces: the VM may be Idle again. */
  'pod.teardown': { params: Record<string, never>; result: Record<string, never> };
  /** Mounts the VM's file server at /run/shares; its shares are directories (or files) below that. Harmless twice. */
  'shares.mount': { params: Record<string, never>; result: Record<string, never> };
  /**
   * Listens on the unix socket /run/tunnels/<name> of the VM. Each connection to it is a channel of the guest's, whose first
   * line is the name. Harmless twice.
   */
  'tunnel.listen': {
    params: { name: string; mode: number; uid: number; gid: number };
    result: Record<string, never>;
  };
  /** Listens no more on those whose names begin with `prefix`; connections go on. */
  'tunnel.close': { params: { prefix: string }; result: Record<string, never> };
  /** Syncs and unmounts; after the answer the VM may be killed. */
  shutdown: { params: Record<string, never>; result: Record<string, never> };
  /** EXT4_IOC_RESIZE_FS of a container's writable disk after block_resize, to the disk's size. */
  'container.growDisk': { params: { id: string }; result: { sizeBytes: number } };
}
export type AgentOperation = keyof AgentOperations;

/** Raw counters; the engine shapes them as Docker's stats. */
export interface ContainerStats {
  timeMs: number;
  cpu: {
    usageUsec: number;
    userUsec: number;
    systemUsec: number;
    throttledUsec: number;
    periods: number;
    throttled: number;
  };
  /** Time of all its CPUs together, busy or idle, at the moment of `cpu`; and their number. */
  vmUsec: number;
  onlineCpus: number;
  memory: { usageBytes: number; maxUsageBytes: number; limitBytes: number; stat: Record<string, number> };
  pids: { current: number; limit: number };
  io: {
    major: number;
    minor: number;
    readBytes: number;
    writeBytes: number;
    reads: number;
    writes: number;
  }[];
  networks: Record<
    string,
    {
      rxBytes: number;
      rxPackets: number;
      rxErrors: number;
      rxDropped: number;
      txBytes: number;
      txPackets: number;
      txErrors: number;
      txDropped: number;
    }
  >;
  /** Of the container's writable disk. What no file has is free, reserves included; both are 0 of one that is only held. */
  disk: { freeBytes: number; totalBytes: number };
}
