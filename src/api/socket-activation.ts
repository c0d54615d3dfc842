// Sockets that systemd has opened for us (sd_listen_fds(3)).

import { DaemonError } from '../errors';

/** The first descriptor that is passed. */
const firstDescriptor = 3;

/**
 * The descriptors that `fd://` (all), `fd://N` or `fd://NAME` stands for. Throws InvalidParameter, in dockerd's words,
 * where there is none. `pid`: the variables are another process's unless they name it.
 */
export function activatedDescriptors(
  address: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid: number = process.pid,
): number[] {
  const count = environment['LISTEN_PID'] === String(pid) ? Number(environment['LISTEN_FDS'] ?? 0) : 0;
  const descriptors = Array.from({ length: count }, (_, index) => firstDescriptor + index);
  if (descriptors.length === 0) {
    throw new DaemonError(
      'InvalidParameter',
      'no sockets found via socket activation: make sure the service was started by systemd',
    );
  }
  if (address === '' || address === '*') return descriptors;
  const names = (environment['LISTEN_FDNAMES'] ?? '').split(':');
  const named = descriptors.filter((_, index) => names[index] === address);
  if (named.length > 0) return named;
  const number = Number(address);
  if (descriptors.includes(number)) return [number];
  throw new DaemonError('InvalidParameter', `no socket ${JSON.stringify(address)} was passed by systemd`);
}
