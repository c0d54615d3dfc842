// A program of a user of testcontainers that ends without a clean-up, which is what its reaper is for. Run by
// testcontainers.test.ts in the network namespace of the engines, with DOCKER_HOST set.

import { GenericContainer, Network, Wait } from 'testcontainers';

const label = { case: process.argv[2] };
const network = await new Network().start();
const container = await new GenericContainer('busybox')
  .withLabels(label)
  .withNetwork(network)
  .withCommand(['sh', '-c', 'echo serving; exec sleep 1000'])
  .withWaitStrategy(Wait.forLogMessage('serving'))
  .start();
process.stdout.write(`${(await container.exec('echo works')).output}${network.getName()}\n`);
process.exit(0);
