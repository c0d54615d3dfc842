// A program as users of testcontainers write it; prints what it saw. Run by testcontainers.test.ts in the network
// namespace of the engines, with DOCKER_HOST set.

import { fileURLToPath } from 'node:url';

import { GenericContainer, Network, Wait } from 'testcontainers';

// testcontainers does not let its log streams keep a program alive.
setInterval(() => undefined, 60_000);

const label = { case: process.argv[2] };
const network = await new Network().start();
const server = await new GenericContainer('busybox')
  .withLabels(label)
  .withNetwork(network)
  .withNetworkAliases('server')
  .withEnvironment({ WORD: 'hello' })
  .withCopyContentToContainer([{ content: 'copied', target: '/etc/of/test', mode: 0o640 }])
  .withCopyFilesToContainer([{ source: fileURLToPath(import.meta.url), target: '/srv/client.mjs' }])
  .withExposedPorts(80)
  .withCommand(['sh', '-c', 'echo "$WORD" >/index.html; echo serving; exec httpd -f -p 80'])
  .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forHttp('/index.html', 80)]))
  .start();
const page = await fetch(`http://${server.getHost()}:${server.getMappedPort(80)}/index.html`);
const found = await server.exec(['sh', '-c', 'echo out; cat /no/such/file; exit 3']);
const copied = await server.exec([
  'sh',
  '-c',
  'stat -c %a /etc/of/test; cat /etc/of/test; head -c 2 /srv/client.mjs',
]);
const client = await new GenericContainer('busybox')
  .withLabels(label)
  .withNetwork(network)
  .withCommand(['wget', '-q', '-O', '-', 'http://server/index.html'])
  .withWaitStrategy(Wait.forLogMessage('hello'))
  .start();
const logs = await text(await server.logs());
const clientLogs = await text(await client.logs());
await server.restart({ timeout: 0 });
const after = await server.exec('echo again');
await client.stop();
await server.stop({ timeout: 0 });
await network.stop();
process.stdout.write(
  JSON.stringify({
    page: await page.text(),
    // stdout and stderr in one: they may come in either order
    exec: { ...found, output: found.output.split('\n').sort() },
    logs: logs.includes('serving'),
    clientLogs: clientLogs.trim(),
    after,
    copied,
  }),
);
process.exit(0);

async function text(stream) {
  return new Promise((resolve) => {
    let all = '';
    stream.on('data', (chunk) => {
      all += chunk;
      if (all.includes('serving') || all.includes('hello')) resolve(all);
    });
    stream.on('end', () => resolve(all));
  });
}
