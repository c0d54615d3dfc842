import { EngineNetworkBackend } from '../../../../src/engine/backends/networks';
import type { Engine } from '../../../../src/engine/engine';
import { DaemonError } from '../../../../src/errors';
import type { NetworkCreateRequest, NetworkDetails } from '../../../../src/network/network';
import { TestEngine } from '../../../support/fakes/engine-fakes';

const predefined = ['bridge', 'host', 'none'];

function details(name: string, parts: Partial<NetworkDetails> = {}): NetworkDetails {
  return {
    id: `id-of-${name}`,
    name,
    driver: name === 'none' ? 'null' : name === 'host' ? 'host' : 'bridge',
    internal: false,
    created: '2026-01-01T00:00:00.000000000Z',
    enableIpv6: false,
    attachable: false,
    labels: {},
    options: {},
    ipamDriver: 'default',
    ipamOptions: null,
    ipam: [{ subnet: '10.1.0.0/24', gateway: '10.1.0.1' }],
    userSubnet: true,
    ...parts,
  };
}

/** The networks' table, without anything below it. */
class FakeTable {
  readonly all = [...predefined, 'mynet'].map((name) => details(name));
  readonly requests: NetworkCreateRequest[] = [];
  readonly removed: string[] = [];
  used: string[] = [];

  list(): NetworkDetails[] {
    return this.all;
  }

  inspect(ref: string): NetworkDetails {
    const found = this.all.find(({ id, name }) => ref === id || ref === name);
    if (found === undefined) throw new DaemonError('NotFound', `network ${ref} not found`);
    return found;
  }

  resolve(ref: string): NetworkDetails {
    return this.inspect(ref);
  }

  create(request: NetworkCreateRequest): Promise<{ id: string; warning: string }> {
    this.requests.push(request);
    this.all.push(details(request.name));
    return Promise.resolve({ id: `id-of-${request.name}`, warning: '' });
  }

  remove(id: string): Promise<void> {
    this.removed.push(id);
    return Promise.resolve();
  }

  endpoints(networkId: string): unknown[] {
    return this.used.includes(networkId) ? [{ containerId: 'c', id: 'e' }] : [];
  }
}

let engine: TestEngine;
let table: FakeTable;
let backend: EngineNetworkBackend;

beforeEach(() => {
  engine = new TestEngine();
  table = new FakeTable();
  // What the backend uses of the networks is in the fake.
  backend = new EngineNetworkBackend({ ...engine.parts, networks: table } as unknown as Engine);
});
afterEach(() => engine.dispose());

async function names(filters: Record<string, string[]>): Promise<string[]> {
  const found = await backend.list(new Map(Object.entries(filters)), { detailed: false });
  return found.map(({ Name }) => Name);
}

describe('list', () => {
  it.each([
    [{}, [...predefined, 'mynet']],
    [{ type: ['custom'] }, ['mynet']],
    [{ type: ['builtin'] }, predefined],
    [{ dangling: ['true'] }, ['mynet']],
    [{ dangling: ['0'] }, predefined],
    [{ driver: ['null', 'host'] }, ['host', 'none']],
    [{ name: ['net'], scope: ['local'] }, ['mynet']],
    [{ label: ['a=b'] }, []],
    [{ scope: ['swarm'] }, []],
  ])('%j', async (filters, expected) => {
    expect(await names(filters)).toEqual(expected);
  });

  it.each([
    [{ type: ['x'] }, "invalid filter: 'type'='x'"],
    [
      { dangling: ['x'] },
      `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
    ],
  ])('%j is refused', async (filters, message) => {
    await expect(names(filters)).rejects.toThrow(message);
  });
});

describe('inspect', () => {
  it('shows IPAM as it was asked for, and subnets without effect', async () => {
    table.all.push(
      details('other', {
        ipam: [{ subnet: '10.2.0.0/24', gateway: '10.2.0.1', hideGateway: true, ipRange: '10.2.0.128/25' }],
        unusedIpam: [{ subnet: 'fd00::/64' }],
      }),
    );
    const { IPAM } = await backend.inspect('other', { verbose: false, scope: '' });
    expect(IPAM.Config).toEqual([
      { Subnet: '10.2.0.0/24', IPRange: '10.2.0.128/25' },
      { Subnet: 'fd00::/64' },
    ]);
  });

  it('finds nothing of another scope', async () => {
    await expect(backend.inspect('mynet', { verbose: false, scope: 'swarm' })).rejects.toThrow(
      'network mynet not found',
    );
  });
});

describe('create', () => {
  it('passes on what was asked, and tells of it', async () => {
    await backend.create({ Name: 'n', Internal: true, IPAM: { Config: [{ Subnet: '10.3.0.0/24' }] } });
    expect(table.requests[0]).toMatchObject({
      internal: true,
      ipam: { config: [{ subnet: '10.3.0.0/24' }] },
    });
    expect(engine.actions()).toEqual(['create']);
  });

  it('names the configuration that it is made from', async () => {
    await backend.create({ Name: 'n', ConfigFrom: { Network: 'c' } });
    expect(table.requests[0]).toMatchObject({ configFrom: 'c' });
    table.all.push(details('made', { configFrom: { id: 'id-of-c', name: 'c' } }));
    expect((await backend.inspect('made', { verbose: false, scope: '' })).ConfigFrom).toEqual({
      Network: 'c',
    });
  });
});

it('prunes what a user made and nobody is on', async () => {
  table.all.push(details('used'), details('configuration', { configOnly: true }));
  table.used = ['id-of-used'];
  expect(await backend.prune(new Map())).toEqual({ NetworksDeleted: ['mynet'] });
  expect(table.removed).toEqual(['id-of-mynet']);
  expect(engine.actions()).toEqual(['destroy', 'prune']);
});

describe('connect and disconnect', () => {
  it('of a stopped container take a network that does not exist, and refuse what contradicts', async () => {
    const id = await engine.create({}, 'stopped');
    await backend.connect('later', { Container: 'stopped' });
    expect(Object.keys(engine.registry.get(id).record.networks)).toEqual(['bridge', 'later']);
    await expect(backend.connect('none', { Container: id })).rejects.toThrow('private (none) mode');
    await expect(backend.connect('host', { Container: id })).rejects.toThrow('host network');
    await backend.disconnect('later', { Container: id });
    await expect(backend.disconnect('later', { Container: id })).rejects.toThrow(
      `container ${id} is not connected to the network later`,
    );
  });

  it('name who is missing', async () => {
    await expect(backend.connect('mynet', { Container: 'nobody' })).rejects.toThrow(
      'No such container: nobody',
    );
    await expect(backend.disconnect('mynet', { Container: 'nobody' })).rejects.toThrow(
      'No such container: nobody',
    );
    await expect(backend.disconnect('mynet', { Container: 'nobody', Force: true })).rejects.toThrow(
      'endpoint nobody not found',
    );
  });

  it('may bring a container of the host’s network back to it only when it is on no other', async () => {
    const id = await engine.create({ HostConfig: { NetworkMode: 'host' } });
    const body = { Container: id };
    await backend.disconnect('host', body);
    await backend.connect('mynet', body);
    await expect(backend.connect('host', body)).rejects.toThrow('container sharing network namespace');
    await backend.disconnect('mynet', body);
    await backend.connect('host', body);
    expect(Object.keys(engine.registry.get(id).record.networks)).toEqual(['host']);
  });
});
