import { Command } from 'commander';
import { addClientCommands } from '../../../../src/cli/client';
import { completions } from '../../../../src/cli/client/completion';
import { ago, table } from '../../../../src/cli/client/output';
import { binarySize } from '../../../../src/go/size-text';
import { collectPort, dockerBody, podTemplate } from '../../../../src/cli/client/workload-options';

describe('options of workloads', () => {
  it.each([
    ['80', { containerPort: 80 }],
    ['8080:80', { hostPort: 8080, containerPort: 80 }],
    [':80/udp', { containerPort: 80, protocol: 'udp' }],
    ['127.0.0.1:8080:80/tcp', { hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    ['[::1]::80', { hostIp: '::1', containerPort: 80 }],
  ])('-p %s', (text, mapping) => expect(collectPort(text)).toEqual([mapping]));

  it.each(['x', '80/icmp', '1:2:3:4', ''])('-p %j is refused', (text) =>
    expect(() => collectPort(text)).toThrow('It is no port'),
  );

  it('make a Pod of one container, called like its image', () => {
    const options = { memory: 64, tty: true, publish: collectPort('80'), network: ['none'], rm: true };
    expect(podTemplate('web', 'registry:5000/app/nginx:1.2', ['x'], options)).toMatchObject({
      name: 'web',
      networks: [],
      portMappings: [{ containerPort: 80 }],
      autoRemove: true,
      containers: [{ name: 'nginx', body: { Cmd: ['x'], Tty: true, HostConfig: { Memory: 64 } } }],
    });
  });

  it("make Docker's create body", () => {
    const body = dockerBody('busybox', [], { publish: collectPort('1:2/udp'), label: { a: 'b' }, cpus: 0.5 });
    expect(body).toMatchObject({
      Labels: { a: 'b' },
      ExposedPorts: { '2/udp': {} },
      HostConfig: { NanoCpus: 5e8, PortBindings: { '2/udp': [{ HostIp: '', HostPort: '1' }] } },
    });
    expect(body).not.toHaveProperty('Cmd');
  });
});

describe('what is shown', () => {
  it('is in columns, and can not drive the terminal', () => {
    expect(table(['A', 'LONG'], [['value', '\u001b[2J']])).toBe('A       LONG\nvalue   ?[2J\n');
  });

  it('has sizes and ages for people', () => {
    expect([512, 1536, 8 * 2 ** 30].map(binarySize)).toEqual(['512B', '1.5KiB', '8GiB']);
    const now = Date.parse('2030-01-02T00:00:00Z');
    expect(ago('2030-01-01T23:59:59Z', now)).toBe('1 second ago');
    expect(ago('2029-12-30T00:00:00Z', now)).toBe('3 days ago');
  });
});

describe("docker's own commands", () => {
  function refusal(...words: string[]): string {
    const program = new Command('caisson').exitOverride().configureOutput({ writeErr: () => undefined });
    let said = '';
    addClientCommands(program, (error) => (said = error.message));
    program.parse(words, { from: 'user' });
    return said;
  }

  it.each([
    [
      ['ps', '-a', '--format', '{{.ID}}'],
      `"ps" is docker's: docker --context caisson ps -a --format {{.ID}}; of Pods: caisson ls`,
    ],
    [['images'], `"images" is docker's: docker --context caisson images`],
    [
      ['logs', '-f', 'c'],
      `"logs" is docker's: docker --context caisson logs -f c; of Pods: caisson pod logs`,
    ],
    [
      ['exec', '-it', 'c', 'sh'],
      `"exec" is docker's: docker --context caisson exec -it c sh; of Pods: caisson pod exec`,
    ],
    [['rm', '--help'], `"rm" is docker's: docker --context caisson rm --help; of Pods: caisson pod rm`],
  ])('%j says where it is', (words, text) => expect(refusal(...words)).toBe(text));
});

describe('completion', () => {
  const program = new Command('caisson');
  program.command('daemon');
  addClientCommands(program, () => undefined);

  it.each([
    [['po'], ['pod']],
    [
      ['pod', 'st'],
      ['start', 'stop', 'stats'],
    ],
    [['pod', 'stop', '--k'], ['--keep-vm']],
    [
      ['pod', 'ls', '--format', ''],
      ['table', 'json', 'yaml'],
    ],
    [['--host', 'unix:///x', 'vm', 'c'], ['console']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['__'], []],
  ])('of %j', async (words, found) => expect(await completions(program, words)).toEqual(found));
});
