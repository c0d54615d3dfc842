// Binds, Mounts and Tmpfs: Docker's refusals. What is not available says so.

import { posix } from 'node:path';
import type { HostConfig, Mount } from '../../docker/types';
import { DaemonError } from '../../errors';
import { cleanPath } from '../../translate/container-to-pod';
import { parseBindSpec } from './bind-spec';

function invalid(message: string): never {
  throw new DaemonError('InvalidParameter', message);
}

/**
 * Throws InvalidParameter or Internal as Docker does. Whether two go to one
 * path is found out where volumes are made, since dockerd leaves those that came before.
 */
export function validateMounts(hostConfig: HostConfig, warnings: string[]): void {
  for (const target of Object.keys(hostConfig.Tmpfs ?? {})) requirePath(target, invalid);
  for (const bind of hostConfig.Binds ?? []) requireBind(bind);
  for (const mount of hostConfig.Mounts ?? []) requireMount(mount);
  for (const mount of hostConfig.Mounts ?? []) {
    if (mount.Type === 'bind') warnOfPropagation(mount.BindOptions?.Propagation, warnings);
  }
  for (const bind of hostConfig.Binds ?? []) {
    warnOfPropagation(parseBindSpec(bind).propagation, warnings);
  }
}

/** Mounts made on one side of the VM's wall are not made on the other. */
function warnOfPropagation(propagation: string | undefined, warnings: string[]): void {
  if (propagation === undefined || !/^r?(shared|slave)$/.test(propagation)) return;
  warnings.push(`Bind propagation "${propagation}" discarded: mounts do not propagate into or out of a VM.`);
}

/** Checks one entry of Binds. */
function requireBind(bind: string): void {
  const { source, destination, noCopy, propagation } = parseBindSpec(bind);
  const type = source.startsWith('/') ? 'bind' : 'volume';
  const refuse = (reason: string): never => {
    throw new DaemonError(
      'Internal',
      `invalid volume specification: '${bind}': invalid mount config for type "${type}": ${reason}`,
    );
  };
  if (destination === '') refuse('field Target must not be empty');
  requirePath(destination, refuse);
  if (type === 'bind' && noCopy) refuse('field VolumeOptions must not be specified');
  if (type === 'volume' && propagation !== undefined) refuse('field BindOptions must not be specified');
}

/** Where something is mounted: absolute, and not the root. */
function requirePath(target: string, refuse: (reason: string) => never): void {
  if (!target.startsWith('/')) refuse(`invalid mount path: '${target}' mount path must be absolute`);
  if (cleanPath(target) === '/') refuse("invalid specification: destination can't be '/'");
}

const mountTypes = new Set(['bind', 'volume', 'tmpfs', 'image']);

/** Checks one entry of Mounts. */
function requireMount(mount: Mount): void {
  const type = mount.Type ?? '';
  const target = mount.Target ?? '';
  const refuse = (reason: string): never => invalid(`invalid mount config for type "${type}": ${reason}`);
  if (target === '') refuse('field Target must not be empty');
  if (!mountTypes.has(type)) refuse('mount type unknown');
  requirePath(target, refuse);
  for (const [options, owner] of [
    [mount.BindOptions, 'bind'],
    [mount.VolumeOptions, 'volume'],
    [mount.TmpfsOptions, 'tmpfs'],
    [mount.ImageOptions, 'image'],
  ] as const) {
    if (options !== undefined && options !== null && owner !== type) {
      const field = `${owner.charAt(0).toUpperCase()}${owner.slice(1)}Options`;
      refuse(`field ${field} must not be specified`);
    }
  }
  if (type === 'tmpfs' && (mount.Source ?? '') !== '') refuse('field Source must not be specified');
  if ((type === 'bind' || type === 'image') && (mount.Source ?? '') === '')
    refuse('field Source must not be empty');
  if (type === 'bind' && !(mount.Source ?? '').startsWith('/')) {
    refuse(`invalid mount path: '${mount.Source ?? ''}' mount path must be absolute`);
  }
  if (!isLocal(mount.ImageOptions?.Subpath ?? '')) {
    refuse('subpath must be a relative path within the volume'); // of an image, too, as dockerd says
  }
  const propagation = mount.BindOptions?.Propagation ?? '';
  if (type === 'bind' && propagation !== '' && !/^r?(shared|slave|private)$/.test(propagation)) {
    refuse(`invalid propagation mode: ${propagation}`);
  }
  if (type === 'volume' && (mount.Source ?? '') === '' && (mount.ReadOnly ?? false)) {
    refuse('must not set ReadOnly mode when using anonymous volumes');
  }
}

/** Go's filepath.IsLocal, of a path that may be empty. */
function isLocal(path: string): boolean {
  return !path.startsWith('/') && posix.normalize(path).split('/')[0] !== '..';
}
