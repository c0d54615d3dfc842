import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isNative } from '../../../../src/registry/platform';
import { buildPlatforms } from '../../../../src/engine/builds/build-platforms';
import { emulatedArchitectures, findEmulator, missingEmulator } from '../../../../src/engine/core/emulators';

const emulatorDir = mkdtempSync(join(tmpdir(), 'caisson-emulators-'));
afterAll(() => rmSync(emulatorDir, { recursive: true }));

test('only what is installed is found, and nothing for what the processor runs', () => {
  const config = { emulatorDir };
  expect(emulatedArchitectures(config)).toEqual([]);
  expect(buildPlatforms(config).map(({ Architecture }) => Architecture)).toEqual(['amd64']);
  for (const name of ['aarch64', 'arm', 's390x', 'x86_64', 'unheard'])
    writeFileSync(join(emulatorDir, `qemu-${name}-static`), '');
  expect(findEmulator(config, 'arm64')).toEqual({
    hostPath: join(emulatorDir, 'qemu-aarch64-static'),
    name: 'qemu-aarch64',
    machine: 183,
    bits: 64,
    bigEndian: false,
  });
  for (const none of ['', 'amd64', '386', 'riscv64', 'unheard', 'toString', '../../bin/sh'])
    expect(findEmulator(config, none)).toBeUndefined();
  expect(
    buildPlatforms(config).map(({ Architecture, Variant }) => [Architecture, Variant].join('/')),
  ).toEqual(['amd64/', 'arm64/', 'arm/v7', 'arm/v6', 's390x/']);
  expect(['', 'amd64', '386', 'arm64'].map(isNative)).toEqual([true, true, true, false]);
  expect(missingEmulator('linux/arm64')).toContain('qemu-user-static');
});
