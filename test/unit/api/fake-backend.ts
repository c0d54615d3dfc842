// A backend of jest mocks: each operation succeeds with something small, and a test replaces what it looks at.

import { Readable } from 'node:stream';
import type { Backend } from '../../../src/api/v1.41/backend';

type Mocked<T> = { [K in keyof T]: jest.Mock };

export interface FakeBackend {
  containers: Mocked<Backend['containers']>;
  exec: Mocked<Backend['exec']>;
  images: Mocked<Backend['images']>;
  builds: Mocked<Backend['builds']>;
  system: Mocked<Backend['system']>;
  networks: Mocked<Backend['networks']>;
  volumes: Mocked<Backend['volumes']>;
}

const answer = (value?: unknown) => jest.fn().mockResolvedValue(value);

const tar = () => jest.fn(() => Promise.resolve(Readable.from(['tar'])));

export async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

export function fakeBackend(): FakeBackend {
  return {
    containers: {
      create: answer({ Id: 'c0ffee', Warnings: [] }),
      list: answer([]),
      inspect: answer({ Id: 'c0ffee' }),
      start: answer(),
      checkpointCreate: answer(),
      checkpointList: answer([]),
      checkpointDelete: answer(),
      stop: answer(),
      restart: answer(),
      kill: answer(),
      pause: answer(),
      unpause: answer(),
      rename: answer(),
      resize: answer(),
      top: answer({ Processes: [], Titles: [] }),
      wait: jest.fn(() => Promise.resolve({ exit: Promise.resolve({ Error: null, StatusCode: 0 }) })),
      remove: answer(),
      prune: answer({ ContainersDeleted: null, SpaceReclaimed: 0 }),
      logs: jest.fn(() => Promise.resolve({ terminal: false, lines: from([]) })),
      attach: answer(),
      update: answer({ Warnings: null }),
      stats: jest.fn(() => Promise.resolve(from([{ read: 'now' }]))),
      changes: answer(null),
      export: tar(),
      archiveStat: answer(),
      archiveGet: answer(),
      copy: tar(),
      archivePut: answer(),
      commit: answer({ Id: 'sha256:1' }),
    },
    exec: { create: answer({ Id: 'e0' }), start: answer(), inspect: answer({ ID: 'e0' }), resize: answer() },
    images: {
      list: answer([]),
      inspect: answer({ Id: 'sha256:0' }),
      history: answer([]),
      pull: answer(),
      importImage: answer(),
      load: answer(),
      tag: answer(),
      remove: answer([{ Untagged: 'x:latest' }]),
      prune: answer({ ImagesDeleted: null, SpaceReclaimed: 0 }),
      search: answer([]),
      push: answer(),
      save: tar(),
      distribution: answer({}),
    },
    builds: { build: answer() },
    system: {
      info: answer({ ID: 'id' }),
      version: answer({ Version: '0' }),
      auth: answer({ IdentityToken: '', Status: 'Login Succeeded' }),
      events: jest.fn(() => Promise.resolve(from([]))),
      diskUsage: answer({ LayersSize: 0 }),
    },
    networks: {
      list: answer([]),
      inspect: answer({ Name: 'n' }),
      create: answer({ Id: 'n0', Warning: '' }),
      remove: answer(),
      connect: answer(),
      disconnect: answer(),
      prune: answer({ NetworksDeleted: null }),
    },
    volumes: {
      list: answer({ Volumes: [], Warnings: null }),
      inspect: answer({ Name: 'v' }),
      create: answer({ Name: 'v' }),
      remove: answer(),
      prune: answer({ VolumesDeleted: null, SpaceReclaimed: 0 }),
    },
  };
}
