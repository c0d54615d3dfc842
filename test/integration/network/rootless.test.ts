// The same manager as an ordinary user, in a user namespace.

import { NetworkLab } from './network-lab';

jest.setTimeout(60_000);

let lab: NetworkLab;

beforeAll(async () => {
  lab = await NetworkLab.open({ unprivileged: true });
}, 60_000);

afterAll(() => lab.close());

it('keeps apart, reaches out and publishes', async () => {
  await lab.manager.create({ name: 'app' });
  const one = await lab.join('bridge', '1n0');
  const two = await lab.join('bridge', '2n0');
  const three = await lab.join('app', '3n0');
  expect(await one.guest.canPing(two.endpoint.ipv4Address)).toBe(true);
  expect(await one.guest.canPing(three.endpoint.ipv4Address)).toBe(false);
  await lab.world.serve(7000, 'from outside');
  expect(await one.guest.fetch('192.0.2.1', 7000)).toBe('from outside');
  await two.guest.serve(80, 'from the container');
  const port = { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 } as const;
  await lab.manager.publish(two.endpoint.containerId, two.endpoint, [port]);
  expect(await lab.world.fetch('192.0.2.2', 8080)).toBe('from the container');
});
