import type { HostConfig, Mount } from '../../../../src/docker/types';
import { validateMounts } from '../../../../src/semantics/create/mount-validation';

function warningsOf(hostConfig: HostConfig): string[] {
  const warnings: string[] = [];
  validateMounts(hostConfig, warnings);
  return warnings;
}

const bind = (more: Partial<Mount>): HostConfig => ({
  Mounts: [{ Type: 'bind', Source: '/a', Target: '/b', ...more }],
});

const image = (more: Partial<Mount>): HostConfig => ({
  Mounts: [{ Type: 'image', Source: 'busybox', Target: '/b', ...more }],
});

describe('validateMounts', () => {
  test.each<[string, HostConfig, string]>([
    ['the root as destination', { Binds: ['/a:/'] }, "destination can't be '/'"],
    ['the root in other words', { Binds: ['/a:/b/../'] }, "destination can't be '/'"],
    ['a relative destination', { Binds: ['/a:b'] }, "invalid mount path: 'b' mount path must be absolute"],
    ['nocopy of a bind', { Binds: ['/a:/b:nocopy'] }, 'field VolumeOptions must not be specified'],
    ['propagation of a volume', { Binds: ['a:/b:slave'] }, 'field BindOptions must not be specified'],
    ['a relative tmpfs', { Tmpfs: { b: '' } }, "invalid mount path: 'b' mount path must be absolute"],
    ['no target', bind({ Target: '' }), 'field Target must not be empty'],
    ['no source', bind({ Source: '' }), 'field Source must not be empty'],
    ['a relative source', bind({ Source: 'a' }), "invalid mount path: 'a' mount path must be absolute"],
    ['options of a volume', bind({ VolumeOptions: {} }), 'field VolumeOptions must not be specified'],
    [
      'a tmpfs with a source',
      { Mounts: [{ Type: 'tmpfs', Source: 'x', Target: '/b' }] },
      'field Source must not be specified',
    ],
    [
      'an anonymous volume that nobody can write',
      { Mounts: [{ Type: 'volume', Target: '/b', ReadOnly: true }] },
      'must not set ReadOnly mode when using anonymous volumes',
    ],
    ['an image without a name', image({ Source: '' }), 'field Source must not be empty'],
    ['an image as a volume', image({ VolumeOptions: {} }), 'field VolumeOptions must not be specified'],
    ['a volume as an image', bind({ ImageOptions: {} }), 'field ImageOptions must not be specified'],
    [
      'a path out of an image',
      image({ ImageOptions: { Subpath: 'a/../..' } }),
      'subpath must be a relative path',
    ],
    [
      "an image's path from the root",
      image({ ImageOptions: { Subpath: '/a' } }),
      'subpath must be a relative path',
    ],
  ])('refuses %s', (_name, hostConfig, message) => {
    expect(() => warningsOf(hostConfig)).toThrow(message);
  });

  test('warns of propagation across the wall, and of no other', () => {
    expect(warningsOf({ Binds: ['/a:/b:rshared', '/a:/c:rprivate'] })).toEqual([
      'Bind propagation "rshared" discarded: mounts do not propagate into or out of a VM.',
    ]);
    expect(warningsOf(bind({ BindOptions: { Propagation: 'rslave' } }))).toHaveLength(1);
    expect(warningsOf(bind({ BindOptions: { Propagation: 'private' } }))).toEqual([]);
  });
});
