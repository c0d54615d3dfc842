// Programs that build with BuildKit by libraries; prints what they saw. Run by buildkit-clients.test.ts in the network namespace of the
// engines, with DOCKER_HOST set: library, name of the image, directory of the context.

import Docker from 'dockerode';
import { GenericContainer } from 'testcontainers';

const [, , library, name, context] = process.argv;
// neither of them keeps a program alive for what it waits for
setInterval(() => undefined, 60_000);

if (library === 'dockerode') {
  const docker = new Docker();
  const stream = await docker.buildImage({ context, src: ['Dockerfile', 'f'] }, { t: name, version: '2' });
  const messages = await new Promise((resolve, reject) =>
    docker.modem.followProgress(stream, (error, all) => (error ? reject(error) : resolve(all))),
  );
  const { Id } = await docker.getImage(name).inspect();
  const told = messages.findLast(({ id }) => id === 'moby.image.id');
  process.stdout.write(
    JSON.stringify({
      traces: messages.some(({ id }) => id === 'moby.buildkit.trace'),
      isId: told.aux.ID === Id,
    }),
  );
} else {
  const image = await GenericContainer.fromDockerfile(context)
    .withBuildkit()
    .withBuildArgs({ V: 'given' })
    .build(name, { deleteOnExit: false });
  const container = await image
    .withLabels({ case: name })
    .withCommand(['sh', '-c', 'exec sleep 1000'])
    .start();
  const { output, exitCode } = await container.exec(['cat', '/f', '/v']);
  await container.stop({ timeout: 0 });
  process.stdout.write(JSON.stringify({ output, exitCode }));
}
process.exit(0);
