// A network namespace for one test run: both engines and the registry live in it, so no port of the machine is used.

import { execFileSync } from 'node:child_process';

export class NetworkNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes the namespace with its loopback up. Needs root. */
  static create(name: string): NetworkNamespace {
    execFileSync('ip', ['netns', 'add', name]);
    const namespace = new NetworkNamespace(name);
    namespace.run('ip', ['link', 'set', 'lo', 'up']);
    namespace.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    return namespace;
  }

  /** One that exists already. */
  static existing(name: string): NetworkNamespace {
    return new NetworkNamespace(name);
  }

  /** `command`, to be executed inside. */
  wrap(command: readonly string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.name}`, ...command];
  }

  run(program: string, args: readonly string[]): string {
    const [first = '', ...rest] = this.wrap([program, ...args]);
    return execFileSync(first, rest, { encoding: 'utf8' });
  }

  delete(): void {
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}
