// The same engine through dockerode: streams, waits, exec and lists as a program sees them.

import { PassThrough } from 'node:stream';

import type Docker from 'dockerode';

import { mainCases, sdkCases } from '../harness/cases';

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

/** Takes stdout and stderr of a multiplexed stream apart; resolves when it ends. */
async function demultiplex(
  docker: Docker,
  stream: NodeJS.ReadableStream,
): Promise<{ out: string; err: string }> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.once('end', () => {
    out.end();
    err.end();
  });
  const [outText, errText] = await Promise.all([text(out), text(err)]);
  return { out: outText, err: errText };
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await promise };
  } catch (error) {
    const { statusCode, json } = error as { statusCode?: number; json?: unknown };
    return { statusCode, json };
  }
}

mainCases('sdk: containers', [
  'run with streams',
  'create, start, wait, inspect, remove',
  'wait conditions',
  'attach before start sees everything',
  'attach hijacked, stdin half-closed',
  'resize before and after the start',
  'logs in frames',
  'list with filters',
  'auto-remove',
  'warnings of create',
]);
sdkCases('sdk: containers', {
  'run with streams': async ({ docker, name }) => {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([text(out), text(err)]);
    const [result] = await docker.run('busybox', ['sh', '-c', 'echo out; echo err >&2; exit 3'], [out, err], {
      name,
      Tty: false,
    });
    // dockerode ends both with the attachment, of which a busy client may hear after the exit
    return { result, texts: await texts };
  },
  'create, start, wait, inspect, remove': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sh', '-c', 'exit 4'] });
    await container.start();
    const wait = await container.wait();
    const { State, Path, Args, RestartCount, Platform } = await container.inspect();
    await container.remove();
    return { wait, State, Path, Args, RestartCount, Platform, after: await caught(container.inspect()) };
  },
  'start and stop twice give 304': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const startAgain = await caught(container.start());
    await container.stop({ t: 0 });
    const stopAgain = await caught(container.stop());
    return { startAgain, stopAgain };
  },
  'wait conditions': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'sleep 1; exit 2'],
    });
    const notRunningYet = await container.wait({ condition: 'not-running' });
    const nextExit = container.wait({ condition: 'next-exit' });
    await container.start();
    const removed = container.wait({ condition: 'removed' });
    const exited = await nextExit;
    const notRunning = await container.wait({ condition: 'not-running' });
    await container.remove();
    return { notRunningYet, exited, notRunning, removed: await removed };
  },
  'attach before start sees everything': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo a; echo b >&2'],
    });
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    await container.start();
    return demultiplex(docker, stream);
  },
  'attach with logs': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo old; sleep 2; echo new'],
    });
    await container.start();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const stream = await container.attach({ stream: true, logs: true, stdout: true, stderr: true });
    return demultiplex(docker, stream);
  },
  'attach hijacked, stdin half-closed': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'wc -c; echo end'],
      OpenStdin: true,
      StdinOnce: true,
    });
    const stream = await container.attach({
      stream: true,
      stdin: true,
      stdout: true,
      stderr: true,
      hijack: true,
    });
    await container.start();
    const output = demultiplex(docker, stream);
    stream.write('x'.repeat(100_000));
    stream.end();
    return { output: await output, wait: await container.wait() };
  },
  'attach to a terminal is raw': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo a; echo b >&2'],
      Tty: true,
    });
    const stream = await container.attach({ stream: true, stdout: true, stderr: true, hijack: true });
    await container.start();
    return text(stream);
  },
  'resize before and after the start': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'while ! test -e /go; do sleep 0.1; done; stty size'],
      Tty: true,
    });
    const early = await caught(container.resize({ h: 11, w: 22 }));
    await container.start();
    await container.resize({ h: 33, w: 77 });
    const exec = await container.exec({ Cmd: ['touch', '/go'] });
    await exec.start({ Detach: true });
    await container.wait();
    return { early, logs: String(await container.logs({ stdout: true })) };
  },
  'logs in frames': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo a; sleep 0.2; echo b >&2'],
    });
    await container.start();
    await container.wait();
    const frames = await container.logs({ stdout: true, stderr: true, follow: false });
    return { hex: frames.toString('hex'), none: await caught(container.logs({})) };
  },
  'logs that follow': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.2; done'],
    });
    await container.start();
    const stream = await container.logs({ stdout: true, stderr: true, follow: true });
    return demultiplex(docker, stream);
  },
  top: async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const { Titles, Processes } = (await container.top()) as { Titles: string[]; Processes: string[][] };
    return { Titles, commands: Processes.map((row) => row.at(-1)) };
  },
  'list with filters': async ({ docker, name }) => {
    await docker.createContainer({ name: `${name}-1`, Image: 'busybox', Labels: { k: name } });
    await docker.createContainer({ name: `${name}-2`, Image: 'configured', Labels: { k: name, other: '' } });
    return docker.listContainers({ all: true, filters: { label: [`k=${name}`] } });
  },
  'exposed ports that are none': async ({ docker, name }) => {
    const forms = ['80', '0081/tcp', '82/TCP', '83/xyz', '8000-8002/tcp', '70000/udp', 'x/sctp', '/tcp', ''];
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sleep', '60'],
      ExposedPorts: Object.fromEntries(forms.map((form) => [form, {}])),
    });
    await container.start();
    const [listed] = await docker.listContainers({ filters: { name: [name] } });
    const { Config, NetworkSettings } = await container.inspect();
    const ports = listed?.Ports.map((port) => JSON.stringify(port)).sort();
    return { listed: ports, exposed: Config.ExposedPorts, table: NetworkSettings.Ports };
  },
  'list with sizes': async ({ docker, name }) => {
    await docker.createContainer({ name, Image: 'busybox', Labels: { k: name } });
    const [listed] = await docker.listContainers({
      all: true,
      size: true,
      filters: { label: [`k=${name}`] },
    });
    return { keys: Object.keys(listed ?? {}).sort() };
  },
  'kill, and the events of it': async ({ docker, name }) => {
    const since = Date.now() / 1000;
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    await container.kill({ signal: 'SIGKILL' });
    await container.wait();
    const stream = await docker.getEvents({
      since,
      until: Date.now() / 1000 + 1,
      filters: { container: [container.id] },
    });
    const events = (await text(stream))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { Type: string; Action: string });
    return events.filter(({ Type }) => Type === 'container');
  },
  'auto-remove': async ({ docker, name }) => {
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['true'],
      HostConfig: { AutoRemove: true },
    });
    const removed = container.wait({ condition: 'removed' });
    await container.start();
    return { removed: await removed, after: await caught(container.inspect()) };
  },
  'warnings of create': async ({ docker, name }) => {
    const reply = await new Promise((resolve, reject) => {
      docker.modem.dial(
        {
          path: `/containers/create?name=${name}`,
          method: 'POST',
          options: { Image: 'busybox' },
          statusCodes: { 201: true },
        },
        (error, data) => (error === null ? resolve(data) : reject(error)),
      );
    });
    return { keys: Object.keys(reply as object).sort(), warnings: (reply as { Warnings: unknown }).Warnings };
  },
});

mainCases('sdk: exec', ['create, start, inspect']);
sdkCases('sdk: exec', {
  'create, start, inspect': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const exec = await container.exec({
      Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 5'],
      AttachStdout: true,
      AttachStderr: true,
    });
    const before = await exec.inspect();
    const stream = await exec.start({});
    const output = await demultiplex(docker, stream);
    return { before, output, after: await exec.inspect() };
  },
  'stdin over a hijacked connection': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const exec = await container.exec({ Cmd: ['md5sum'], AttachStdin: true, AttachStdout: true });
    const stream = await exec.start({ hijack: true, stdin: true });
    const output = demultiplex(docker, stream);
    stream.end('y'.repeat(300_000));
    return output;
  },
  'start twice': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const exec = await container.exec({ Cmd: ['true'], AttachStdout: true });
    await text(await exec.start({}));
    return caught(exec.start({}).then((stream) => text(stream)));
  },
  'with a terminal': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const exec = await container.exec({
      Cmd: ['sh', '-c', 'tty; echo err >&2'],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    });
    return text(await exec.start({ Tty: true }));
  },
  'the stream is framed by what start says of a terminal, not by the terminal': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const said: string[] = [];
    for (const Tty of [true, false]) {
      const exec = await container.exec({
        Cmd: ['echo', 'said'],
        AttachStdout: true,
        AttachStderr: true,
        Tty,
      });
      said.push(await text(await exec.start({ Tty: !Tty })));
    }
    return said;
  },
  'in a stopped container': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['true'] });
    return caught(container.exec({ Cmd: ['true'] }));
  },
});

sdkCases('sdk: images', {
  inspect: async ({ docker }) => docker.getImage('127.0.0.1:5000/layers:latest').inspect(),
  history: async ({ docker }) => (await docker.getImage('configured').history()) as unknown,
  'tag, list and remove': async ({ docker, name }) => {
    await docker.getImage('busybox').tag({ repo: name, tag: 'one' });
    const listed = await docker.listImages({ filters: JSON.stringify({ reference: [`${name}:one`] }) });
    const removed: unknown = await docker.getImage(`${name}:one`).remove();
    return { found: listed.map(({ Id, Containers, Labels }) => ({ Id, Containers, Labels })), removed };
  },
  'progress of a pull': async ({ docker }) => {
    const stream = await docker.pull('127.0.0.1:5000/busybox:latest');
    return (await text(stream))
      .trim()
      .split(/\r?\n/)
      .map((line) => JSON.parse(line) as unknown);
  },
  'progress of a pull that fails': async ({ docker }) =>
    caught(docker.pull('127.0.0.1:5000/busybox:no-such-tag')),
});

sdkCases('sdk: networks, volumes, events', {
  'a network with two containers': async ({ docker, name }) => {
    const network = await docker.createNetwork({
      Name: `${name}-n`,
      CheckDuplicate: true,
      Labels: { of: name },
    });
    const one = await docker.createContainer({ name: `${name}-1`, Image: 'busybox', Cmd: ['sleep', '60'] });
    await one.start();
    await network.connect({ Container: one.id, EndpointConfig: { Aliases: ['first'] } });
    const [out, err] = [new PassThrough(), new PassThrough()];
    const said = text(out);
    const [{ StatusCode }] = (await docker.run('busybox', ['nslookup', 'first'], [out, err], {
      name: `${name}-2`,
      Tty: false,
      HostConfig: { NetworkMode: `${name}-n` },
    })) as [{ StatusCode: number }];
    out.end();
    const { Containers, Labels } = (await network.inspect()) as { Containers: object; Labels: object };
    const busy = await caught(network.remove());
    await docker.getContainer(`${name}-2`).remove();
    await network.disconnect({ Container: one.id, Force: true });
    await network.remove();
    return {
      StatusCode,
      answered: (await said).includes('Address'),
      members: Object.keys(Containers).length,
      Labels,
      busy,
      gone: await caught(network.inspect()),
    };
  },
  'a volume': async ({ docker, name }) => {
    await docker.createVolume({ Name: `${name}-v`, Labels: { of: name } });
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo x > /data/file'],
      HostConfig: { Mounts: [{ Type: 'volume', Source: `${name}-v`, Target: '/data' }] },
    });
    await container.start();
    await container.wait();
    const handle = docker.getVolume(`${name}-v`);
    const busy = await caught(handle.remove());
    const { Mounts } = await container.inspect();
    await container.remove();
    const listed = await docker.listVolumes({ filters: { label: [`of=${name}`] } });
    await handle.remove();
    return {
      busy,
      mounts: Mounts.map(({ Type, Name, Destination, RW }) => ({ Type, Name, Destination, RW })),
      listed: listed.Volumes.map(({ Name, Labels }) => ({ Name, Labels })),
      gone: await caught(handle.inspect()),
    };
  },
  'events as they come': async ({ docker, name }) => {
    const stream = await docker.getEvents({ filters: { label: [`of=${name}`] } });
    const seen: unknown[] = [];
    const over = (async () => {
      let rest = '';
      for await (const chunk of stream) {
        rest += String(chunk);
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines.filter((each) => each !== '')) {
          const event = JSON.parse(line) as Record<string, unknown>;
          seen.push([
            event['Type'],
            event['Action'],
            event['status'],
            event['from'],
            Object.keys(event).sort(),
          ]);
          if (event['Action'] === 'destroy') return;
        }
      }
    })();
    const container = await docker.createContainer({
      name,
      Image: 'busybox',
      Cmd: ['true'],
      Labels: { of: name },
    });
    await container.start();
    await container.wait();
    await container.remove();
    await over;
    return seen;
  },
  'stats, once and in a stream': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const once = await container.stats({ stream: false });
    const stream = await container.stats({ stream: true });
    const first = await new Promise<string>((resolve) => {
      stream.once('data', (chunk: Buffer) => resolve(String(chunk)));
    });
    (stream as unknown as { destroy: () => void }).destroy();
    return { keys: Object.keys(once).sort(), same: Object.keys(JSON.parse(first) as object).length };
  },
  'update, top, rename': async ({ docker, name }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '60'] });
    await container.start();
    const update: unknown = await container.update({ Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20 });
    const { Titles } = (await container.top()) as { Titles: string[] };
    await container.rename({ name: `${name}-new` });
    const { Name, HostConfig } = await container.inspect();
    return { update, Titles, Name, Memory: HostConfig.Memory };
  },
});
