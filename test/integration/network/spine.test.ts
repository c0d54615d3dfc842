import { rmSync } from 'node:fs';

import { createNetworkManager } from '../../../src/network/network-manager';
import type { NetworkManager } from '../../../src/network/network';
import { MemoryDocuments } from '../../unit/network/memory-documents';
import { buildHelpers, FakeGuest, labDirectory, runDirectory } from './network-lab';

const directory = labDirectory();
const runDir = runDirectory();
const helpers = buildHelpers(directory);
let manager: NetworkManager;
const guests: FakeGuest[] = [];

beforeAll(async () => {
  manager = createNetworkManager({ runDir, documents: new MemoryDocuments(), ...helpers });
  await manager.start();
}, 30_000);

afterAll(async () => {
  for (const guest of guests) guest.delete();
  await manager.stop({ removeNamespace: true });
  rmSync(directory, { recursive: true });
  rmSync(runDir, { recursive: true });
});

async function join(networkId: string, tapName: string): Promise<FakeGuest> {
  const containerId = tapName.padEnd(64, '0');
  const endpoint = await manager.allocate({ networkId, containerId, containerName: tapName, aliases: [] });
  const guest = new FakeGuest(runDir, manager.namespacePath, tapName);
  guests.push(guest);
  guest.configure(endpoint);
  await manager.attach(endpoint, tapName);
  return guest;
}

it('connects two guests of the default bridge', async () => {
  const bridge = manager.resolve('bridge');
  const a = await join(bridge.id, 'cv1n0');
  await join(bridge.id, 'cv2n0');
  expect(await a.canPing('172.17.0.1')).toBe(true);
  expect(await a.canPing('172.17.0.3')).toBe(true);
}, 20_000);
