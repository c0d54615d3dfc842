// The daemon's configuration: one immutable value, made by main.ts from argv and environment.

import type { LogLevel } from './log';

export type AcceleratorChoice = 'auto' | 'kvm' | 'tcg';

export interface Config {
  /** Persistent state: records, blobs, layers, disks, logs, templates. */
  readonly dataRoot: string;
  /** Sockets and pid files of the daemon and its VMs; gone after a host reboot. */
  readonly runDir: string;
  /** `unix:///path` or `tcp://host:port`, as in dockerd's `--host`. */
  readonly hosts: readonly string[];
  readonly logLevel: LogLevel;
  readonly accelerator: AcceleratorChoice;
  /** Where `npm run guest` left vmlinuz, initramfs and manifest.json. */
  readonly guestDir: string;
  /** Directory of the native helpers (vm-launch, …). */
  readonly nativeDir: string;
  readonly qemuBinary: string;
  /** Idle clones kept ready. 0 turns the pool off. */
  readonly poolSize: number;
  /** `-m` of the template; container limits are cgroups inside. */
  readonly vmMemoryBytes: number;
  readonly vmCpus: number;
  /** First of the range of host uids that QEMU processes run as, one for each VM. Ignored without root. */
  readonly vmUidBase: number;
  /** Size of a container's writable disk (sparse). */
  readonly writableDiskBytes: number;
  /** Registry hosts reached over http or with unverified TLS, besides loopback. */
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
}
