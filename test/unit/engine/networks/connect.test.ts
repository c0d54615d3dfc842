import { connectContainer, disconnectContainer, renewNames } from '../../../../src/engine/networks/connect';
import type { EndpointSettings } from '../../../../src/docker/types';
import type { Container } from '../../../../src/engine/core/container-registry';
import { namedPodId } from '../../../../src/engine/vms/named-pods';
import { TestEngine } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
beforeEach(() => (engine = new TestEngine()));
afterEach(() => engine.dispose());

const mynet = { id: 'id-of-mynet', name: 'mynet' };

async function running(): Promise<Container> {
  const id = await engine.running({ HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } } });
  engine.vms.last.agent.requests.splice(0);
  engine.published.splice(0);
  return engine.registry.get(id);
}

function operations(): string[] {
  return engine.vms.last.agent.requests.map(({ op }) => op);
}

it('gives a running container an interface, name servers, files and an event', async () => {
  const container = await running();
  await connectContainer(engine.parts, container, mynet, { Aliases: ['web'] });
  expect(operations()).toEqual(['pod.interface.add', 'pod.dns', 'container.file', 'container.file']);
  expect(engine.vms.last.agent.params('pod.dns')).toEqual({ servers: ['172.17.0.1'] });
  expect(Object.keys(container.record.networks)).toEqual(['bridge', 'mynet']);
  expect(container.record.networks['mynet']).toMatchObject({ nic: 1, requested: { Aliases: ['web'] } });
  expect(engine.actions()).toEqual(['connect']);
});

it('takes everything back when the guest refuses', async () => {
  const container = await running();
  engine.vms.last.agent.on('pod.interface.add', () => {
    throw new Error('no such NIC');
  });
  await expect(connectContainer(engine.parts, container, mynet, {})).rejects.toThrow('no such NIC');
  expect(Object.keys(container.record.networks)).toEqual(['bridge']);
  expect(engine.networks.endpointsOf(container.id)).toHaveLength(1);
  expect(engine.actions()).toEqual([]);
});

it('only notes the network of a container that does not run', async () => {
  const id = await engine.create();
  const container = engine.registry.get(id);
  await connectContainer(engine.parts, container, mynet, { Aliases: ['web'] });
  expect(container.record.networks['mynet']).toEqual({ networkId: '', requested: { Aliases: ['web'] } });
  await disconnectContainer(engine.parts, container, 'mynet');
  expect(Object.keys(container.record.networks)).toEqual(['bridge']);
});

it('refuses a ninth network at once, not at the start that has no interface for it', async () => {
  const container = engine.registry.get(await engine.create());
  const connect = (index: number): Promise<void> =>
    connectContainer(engine.parts, container, { id: `id-${index}`, name: `net${index}` }, {});
  for (let i = 1; i < 8; i += 1) await connect(i);
  await expect(connect(8)).rejects.toMatchObject({
    code: 'Forbidden',
    message: expect.stringMatching(/^a container can be on at most 8 networks/) as string,
  });
  await connect(7); // it is on this one already
  expect(Object.keys(container.record.networks)).toHaveLength(8);
});

it('refuses to make a container that is to be on nine', async () => {
  const EndpointsConfig = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`net${index}`, {}]));
  const body = { Image: 'busybox', Cmd: ['true'], NetworkingConfig: { EndpointsConfig } };
  await expect(engine.containers.create(body, { version: { major: 1, minor: 44 } })).rejects.toMatchObject({
    code: 'InvalidParameter',
    message: expect.stringMatching(/^a container can be on at most 8 networks/) as string,
  });
});

it('closes published ports with the last network, and still shows them', async () => {
  const container = await running();
  expect(engine.networks.published).toEqual([container.id]);
  await disconnectContainer(engine.parts, container, 'bridge');
  expect(engine.networks.published).toEqual([]);
  expect(container.record.publishedPorts).toHaveLength(1);
  expect(operations()).toContain('pod.interface.remove');
  await connectContainer(engine.parts, container, mynet, {});
  expect(engine.networks.published).toEqual([container.id]);
});

describe('containers of a named Pod', () => {
  const podId = namedPodId('pair');

  async function pair(): Promise<[Container, Container]> {
    const members: Container[] = [];
    for (const name of ['first', 'second']) {
      const id = await engine.running({ Labels: { 'caisson.pod': 'pair' } }, name);
      members.push(engine.registry.get(id));
    }
    engine.vms.last.agent.requests.splice(0);
    engine.published.splice(0);
    // The loop made two.
    return members as [Container, Container];
  }

  const connect = (container: Container, requested: EndpointSettings = {}): Promise<void> =>
    connectContainer(engine.parts, container, mynet, requested);
  const disconnect = (container: Container, network = 'mynet'): Promise<void> =>
    disconnectContainer(engine.parts, container, network);
  const changes = (): string[] => operations().filter((op) => op.startsWith('pod.interface'));
  const onMynet = (): string[] =>
    [...engine.networks.endpoints.keys()].filter((key) => key.startsWith(mynet.id));

  it('have one endpoint on a network, which answers to the names of those connected', async () => {
    const [first, second] = await pair();
    await connect(first, { Aliases: ['one'] });
    await connect(second, { Aliases: ['two'] });
    expect(changes()).toEqual(['pod.interface.add']);
    expect(onMynet()).toEqual([`${mynet.id}/${podId}`]);
    expect(engine.networks.requests.at(-1)).toMatchObject({ containerId: podId, containerName: 'pair' });
    expect(engine.networks.requests.at(-1)?.dnsNames).toEqual(
      expect.arrayContaining(['first', 'second', 'one', 'two']),
    );
    expect(second.record.networks['mynet']).toMatchObject({ nic: 1 });
    expect(engine.actions()).toEqual(['connect', 'connect']);
  });

  it('leave it with the last of them', async () => {
    const [first, second] = await pair();
    await connect(first);
    await connect(second);
    await disconnect(first);
    expect(changes()).toEqual(['pod.interface.add']);
    expect(engine.networks.requests.at(-1)?.dnsNames).not.toContain('first');
    await disconnect(second);
    expect(changes()).toEqual(['pod.interface.add', 'pod.interface.remove']);
    expect(onMynet()).toEqual([]);
  });

  it('keep the interface that others are still on', async () => {
    const [first, second] = await pair();
    await disconnect(first, 'bridge');
    expect(changes()).toEqual([]);
    expect(second.record.networks['bridge']?.endpoint).toBeDefined();
  });

  it('may not ask for another address than the Pod has', async () => {
    const [first, second] = await pair();
    await connect(first);
    await expect(connect(second, { IPAMConfig: { IPv4Address: '172.17.0.9' } })).rejects.toThrow(
      'container second asks for 172.17.0.9 on network mynet, where its Pod pair has 172.17.0.2',
    );
    expect(second.record.networks['mynet']).toBeUndefined();
  });

  it('get no endpoint of their own by a new name', async () => {
    const [first] = await pair();
    await renewNames(engine.parts, first);
    expect(engine.networks.requests.at(-1)).toMatchObject({ containerId: podId });
  });
});

it('refuses one whose VM is another’s', async () => {
  const donor = await engine.running({}, 'donor');
  const id = await engine.running({ HostConfig: { PidMode: 'container:donor' } });
  await expect(connectContainer(engine.parts, engine.registry.get(id), mynet, {})).rejects.toThrow(
    'container sharing network namespace with another container or host',
  );
  expect(engine.networks.endpointsOf(donor)).toHaveLength(1);
});
