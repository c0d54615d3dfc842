// Binds, Mounts, Tmpfs and VolumesFrom: Docker's refusals. What is not
// available says so.

import type { HostConfig, Mount } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import { cleanPath } from '../translate/container-to-pod';

function invalid(message: string): never {
  throw new DaemonError('InvalidParameter', message);
}

function unavailable(what: string): never {
  throw new DaemonError('NotImplemented', `${what} are not available yet`);
}

const bindModes = /^(ro|rw|z|Z|nocopy|consistent|cached|delegated|r?shared|r?slave|r?private)$/;

/** Throws InvalidParameter or Internal as Docker does, NotImplemented for mounts that are still to come. */
export function validateMounts(hostConfig: HostConfig, warnings: string[]): void {
  const targets = new Set<string>();
  const claim = (target: string): void => {
    const path = cleanPath(target);
    if (targets.has(path)) invalid(`Duplicate mount point: ${path}`);
    targets.add(path);
  };
  for (const target of Object.keys(hostConfig.Tmpfs ?? {})) {
    if (!target.startsWith('/')) invalid(`invalid mount path: '${target}' mount path must be absolute`);
    if (cleanPath(target) === '/') invalid("invalid specification: destination can't be '/'");
  }
  for (const bind of hostConfig.Binds ?? []) claim(bindTarget(bind));
  for (const mount of hostConfig.Mounts ?? []) claim(mountTarget(mount));
  for (const mount of hostConfig.Mounts ?? []) {
    if (mount.Type === 'image') unavailable('image mounts');
    if (mount.Type === 'bind') warnOfPropagation(mount.BindOptions?.Propagation, warnings);
  }
  for (const bind of hostConfig.Binds ?? []) {
    const words = (bind.split(':')[2] ?? '').split(',');
    warnOfPropagation(
      words.find((word) => /^r?(shared|slave)$/.test(word)),
      warnings,
    );
  }
}

/** Mounts made on one side of the VM's wall are not made on the other. */
function warnOfPropagation(propagation: string | undefined, warnings: string[]): void {
  if (propagation === undefined || !/^r?(shared|slave)$/.test(propagation)) return;
  warnings.push(`Bind propagation "${propagation}" discarded: mounts do not propagate into or out of a VM.`);
}

/** Checks one entry of Binds and returns where it goes. */
function bindTarget(bind: string): string {
  const parts = bind.split(':');
  if (parts.length > 3) throw new DaemonError('Internal', `invalid volume specification: '${bind}'`);
  const type = parts.length > 1 && bind.startsWith('/') ? 'bind' : 'volume';
  const target = parts.length === 1 ? bind : (parts[1] ?? '');
  if (!target.startsWith('/')) {
    const shown = parts.length === 1 ? bind : target;
    throw new DaemonError(
      'Internal',
      `invalid volume specification: '${bind}': invalid mount config for type "${type}": ` +
        `invalid mount path: '${shown}' mount path must be absolute`,
    );
  }
  if (parts.length > 2) {
    const mode = parts.slice(2).join(':');
    if (mode === '' || !mode.split(',').every((word) => bindModes.test(word))) {
      throw new DaemonError('Internal', `invalid mode: ${mode}`);
    }
  }
  if (cleanPath(target) === '/') {
    throw new DaemonError(
      'Internal',
      `invalid volume specification: '${bind}': invalid specification: destination can't be '/'`,
    );
  }
  return target;
}

const mountTypes = new Set(['bind', 'volume', 'tmpfs', 'image']);

/** Checks one entry of Mounts and returns where it goes. */
function mountTarget(mount: Mount): string {
  const type = mount.Type ?? '';
  const target = mount.Target ?? '';
  const refuse = (reason: string): never => invalid(`invalid mount config for type "${type}": ${reason}`);
  if (target === '') refuse('field Target must not be empty');
  if (!mountTypes.has(type)) refuse('mount type unknown');
  if (!target.startsWith('/')) refuse(`invalid mount path: '${target}' mount path must be absolute`);
  if (cleanPath(target) === '/') refuse("invalid specification: destination can't be '/'");
  for (const [options, owner] of [
    [mount.BindOptions, 'bind'],
    [mount.VolumeOptions, 'volume'],
    [mount.TmpfsOptions, 'tmpfs'],
  ] as const) {
    if (options !== undefined && options !== null && owner !== type) {
      const field = `${owner.charAt(0).toUpperCase()}${owner.slice(1)}Options`;
      refuse(`field ${field} must not be specified`);
    }
  }
  if (type === 'tmpfs' && (mount.Source ?? '') !== '') refuse('field Source must not be specified');
  if (type === 'bind' && (mount.Source ?? '') === '') refuse('field Source must not be empty');
  if (type === 'bind' && !(mount.Source ?? '').startsWith('/')) {
    refuse(`invalid mount path: '${mount.Source ?? ''}' mount path must be absolute`);
  }
  return target;
}
