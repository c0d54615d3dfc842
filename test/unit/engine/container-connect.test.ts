import { connectContainer, disconnectContainer } from '../../../src/engine/container-connect';
import type { Container } from '../../../src/engine/container-registry';
import { TestEngine } from '../../support/engine-fakes';

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
  await connectContainer(engine.containers.engine, container, mynet, { Aliases: ['web'] });
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
  await expect(connectContainer(engine.containers.engine, container, mynet, {})).rejects.toThrow(
    'no such NIC',
  );
  expect(Object.keys(container.record.networks)).toEqual(['bridge']);
  expect(engine.networks.endpointsOf(container.id)).toHaveLength(1);
  expect(engine.actions()).toEqual([]);
});

it('only notes the network of a container that does not run', async () => {
  const id = await engine.create();
  const container = engine.registry.get(id);
  await connectContainer(engine.containers.engine, container, mynet, { Aliases: ['web'] });
  expect(container.record.networks['mynet']).toEqual({ networkId: '', requested: { Aliases: ['web'] } });
  await disconnectContainer(engine.containers.engine, container, 'mynet');
  expect(Object.keys(container.record.networks)).toEqual(['bridge']);
});

it('closes published ports with the last network, and still shows them', async () => {
  const container = await running();
  expect(engine.networks.published).toEqual([container.id]);
  await disconnectContainer(engine.containers.engine, container, 'bridge');
  expect(engine.networks.published).toEqual([]);
  expect(container.record.publishedPorts).toHaveLength(1);
  expect(operations()).toContain('pod.interface.remove');
  await connectContainer(engine.containers.engine, container, mynet, {});
  expect(engine.networks.published).toEqual([container.id]);
});
