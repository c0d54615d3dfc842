// The host's network as containers see it (`--network host`), and the containers' as the host does (`--host-routes`): with a host
// of the test's own, since both change what it listens on, or its routes.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { makeBusyboxArchive } from '../../support/images/test-images';
import { networkState } from '../../support/network/host-state';
import { startGuarded } from '../../support/process/guarded-process';
import { projectDir } from '../../support/process/project-dir';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { makeScratchDir } from '../../support/process/scratch-dir';

jest.setTimeout(240_000);

let dir: string;
let namespace: NetworkNamespace;
let daemon: CaissonDaemon;

function onHost(...command: string[]): string {
  const [program = '', ...args] = namespace.wrap(command);
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' }).trim();
}

function docker(...args: string[]): string {
  return execFileSync('docker', ['-H', daemon.host, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** What is answered at an address of the host; empty: nothing is. */
function fetched(address: string): string {
  const [program = '', ...args] = namespace.wrap(['curl', '-s', '-m', '10', `http://${address}/`]);
  return spawnSync(program, args, { encoding: 'utf8' }).stdout;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 100));
}

const log = (): string => readFileSync(join(dir, 'caisson.log'), 'utf8');
const listening = (): string[] => onHost('ss', '-Htln').split('\n').sort();
/** Serves its own host name, at these addresses. */
const web = (...addresses: string[]): string[] => [
  'busybox:1',
  'sh',
  '-c',
  `echo $1 >/index.html; ${addresses.map((address) => `httpd -p ${address}`).join('; ')}; exec sleep 1d`,
];
const run = (name: string, ...addresses: string[]): string =>
  docker('run', '-d', '--name', name, '--network', 'host', ...web(...addresses), 'sh', name);

async function start(...args: string[]): Promise<void> {
  daemon = await CaissonDaemon.start({
    dir,
    namespace,
    args: ['--accel', 'tcg', '--pool-size', '0', ...args],
  });
}

beforeAll(async () => {
  dir = makeScratchDir('host-network');
  namespace = await NetworkNamespace.create();
  onHost('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'far');
  onHost('ip', 'link', 'set', 'far', 'addrgenmode', 'none', 'up');
  onHost('ip', 'link', 'set', 'uplink', 'addrgenmode', 'none', 'up');
  onHost('ip', 'addr', 'add', '192.0.2.2/24', 'dev', 'uplink');
  onHost('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
  await start();
  docker('load', '--quiet', '--input', makeBusyboxArchive(dir, 'busybox:1'));
});

afterAll(async () => {
  await daemon.stop();
  await namespace.delete();
  rmSync(dir, { recursive: true, force: true });
});

describe('a container on the host’s network', () => {
  it('is reached where it listens, and nowhere else, until it ends', async () => {
    const before = listening();
    run('one', '8001', '127.0.0.1:8002');
    await until(() => fetched('127.0.0.1:8002') === 'one\n');
    expect(fetched('192.0.2.2:8001')).toBe('one\n');
    expect(fetched('127.0.0.1:8001')).toBe('one\n');
    expect(fetched('192.0.2.2:8002')).toBe('');
    // its interface has the name of the host's
    expect(docker('exec', 'one', 'ls', '/sys/class/net')).toBe('lo\nuplink');
    expect(docker('run', '--rm', '--network', 'bridge', 'busybox:1', 'ls', '/sys/class/net')).toBe(
      'eth0\nlo',
    );
    docker('rm', '-f', 'one');
    await until(() => listening().join() === before.join());
  });

  it('has its ports through a restart of the daemon, whose client stays connected', async () => {
    run('one', '8001');
    await until(() => fetched('127.0.0.1:8001') === 'one\n');
    const [program = '', ...args] = namespace.wrap([
      'bash',
      '-c',
      'exec 3<>/dev/tcp/127.0.0.1/8001; echo open; read -r; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; tail -n 1 <&3',
    ]);
    const client = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    client.stdout.on('data', (data: Buffer) => (said += data.toString()));
    await until(() => said === 'open\n');
    const before = listening();
    await daemon.kill9();
    expect(listening()).toEqual(before);
    await daemon.start();
    expect(listening()).toEqual(before);
    client.stdin.write('\n');
    await until(() => said === 'open\none\n');
    docker('exec', '-d', 'one', 'httpd', '-p', '8003', '-h', '/');
    await until(() => fetched('127.0.0.1:8003') === 'one\n');
    docker('rm', '-f', 'one');
  });

  it('is told of in the log when somebody has its port, and gets it when that one goes', async () => {
    run('one', '8001');
    await until(() => fetched('127.0.0.1:8001') === 'one\n');
    run('two', '8001');
    await until(() => log().includes('0.0.0.0:8001 failed: port is already allocated'));
    expect(fetched('127.0.0.1:8001')).toBe('one\n');
    docker('rm', '-f', 'one');
    await until(() => fetched('127.0.0.1:8001') === 'two\n');
    docker('rm', '-f', 'two');
  });

  it('reaches localhost of the host, which nobody else does', () => {
    onHost('sh', '-c', `mkdir ${dir}/www; echo of the host >${dir}/www/index.html`);
    const server = execFileSync(
      'sh',
      [
        '-c',
        `${namespace.wrap(['python3', '-m', 'http.server', '-b', '127.0.0.1', '-d', `${dir}/www`, '8010']).join(' ')} >/dev/null 2>&1 & echo $!`,
      ],
      { encoding: 'utf8' },
    );
    try {
      execFileSync('sh', [
        '-c',
        `until ${namespace.wrap(['curl', '-s', '127.0.0.1:8010']).join(' ')}; do sleep 0.1; done`,
      ]);
      const wget = (network: string, address: string): string =>
        spawnSync(
          'docker',
          [
            '-H',
            daemon.host,
            'run',
            '--rm',
            '--network',
            network,
            'busybox:1',
            'timeout',
            '10',
            'wget',
            '-qO-',
            address,
          ],
          { encoding: 'utf8' },
        ).stdout;
      expect(wget('host', 'http://127.0.0.1:8010')).toBe('of the host\n');
      expect(wget('bridge', 'http://127.0.0.1:8010')).toBe('');
      expect(wget('bridge', 'http://198.19.255.2:8010')).toBe('');
    } finally {
      process.kill(Number(server));
    }
  });

  it('can’t open more of the host’s ports than there is room for', async () => {
    const before = listening();
    const many = 'i=10001; while [ $i -lt 10401 ]; do httpd -p $i; i=$((i+1)); done; exec sleep 1d';
    docker(
      'run',
      '-d',
      '--name',
      'many',
      '--network',
      'host',
      '--pids-limit',
      '1000',
      'busybox:1',
      'sh',
      '-c',
      many,
    );
    await until(() => log().includes('only the first 256 sockets of the container are open on the host'));
    // others go on meanwhile
    expect(docker('network', 'create', 'quick')).toHaveLength(64);
    await until(() => listening().length >= before.length + 256);
    expect(listening().length).toBeLessThanOrEqual(before.length + 2 * 256);
    docker('rm', '-f', 'many');
    await until(() => listening().join() === before.join());
    docker('network', 'rm', 'quick');
  });
});

describe('volumes of the local driver', () => {
  const sh = (volume: string, script: string, ...options: string[]): string =>
    docker('run', '--rm', '-v', `${volume}:/v`, ...options, 'busybox:1', 'sh', '-c', script);

  it('in memory are shared by those that run, through a restart of the daemon, and gone with the last', async () => {
    docker(
      'volume',
      'create',
      '-o',
      'type=tmpfs',
      '-o',
      'device=tmpfs',
      '-o',
      'o=size=1m,mode=1750',
      'memory',
    );
    docker(
      'run',
      '-d',
      '--name',
      'one',
      '-v',
      'memory:/v',
      'busybox:1',
      'sh',
      '-c',
      'echo it >/v/f; exec sleep 1d',
    );
    expect(sh('memory', 'until cat /v/f 2>/dev/null; do sleep 0.1; done; stat -c %a /v')).toBe('it\n1750');
    await daemon.kill9();
    await daemon.start();
    const fill = 'cat /v/f; dd if=/dev/zero of=/v/g bs=1k count=2000 2>&1 | grep -o "No space.*"';
    expect(sh('memory', fill)).toBe('it\nNo space left on device');
    docker('rm', '-f', 'one');
    expect(sh('memory', 'ls -A /v')).toBe('');
    await until(() => !readFileSync('/proc/self/mounts', 'utf8').includes(`${dir}/data/volumes/`));
    docker('volume', 'rm', 'memory');
  });

  it('of an NFS server are mounted by the VM', async () => {
    const ganesha = join(projectDir, 'build/nfs-server'); // scripts/fetch-nfs-server.sh
    writeFileSync(
      join(dir, 'ganesha.conf'),
      `NFS_CORE_PARAM { Protocols = 4; Bind_addr = 192.0.2.2; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
        Plugins_Dir = ${ganesha}/usr/lib/x86_64-linux-gnu/ganesha; }
      NFS_KRB5 { Active_krb5 = false; }
      NFSv4 { Graceless = true; UseGetpwnam = true; Only_Numeric_Owners = true; }
      EXPORT { Export_Id = 1; Path = /data; Pseudo = /data; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL { Name = MEM; } }
      MEM { Inode_Size = 4096; }`,
    );
    const serve = [
      'mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/nfs/ganesha',
      `export LD_LIBRARY_PATH=${['lib/x86_64-linux-gnu', 'lib/ganesha', 'lib'].map((lib) => `${ganesha}/usr/${lib}`).join(':')}`,
      `exec ${ganesha}/usr/bin/ganesha.nfsd -F -L ${dir}/ganesha.log -f ${dir}/ganesha.conf -p ${dir}/ganesha.pid`,
    ];
    const server = await startGuarded(
      [...namespace.wrap(['unshare', '--mount', 'sh', '-ec', serve.join('\n')])],
      { logPath: join(dir, 'nfs-server.log') },
    );
    try {
      await until(() => onHost('ss', '-Htln').includes(':2049 '));
      const create = (name: string, o: string): string =>
        docker('volume', 'create', '-o', 'type=nfs', '-o', 'device=:/data', '-o', `o=${o}`, name);
      create('remote', 'addr=192.0.2.2,nfsvers=4.1,soft');
      expect(sh('remote', 'echo it >/v/f; grep -o "/v nfs4" /proc/mounts')).toBe('/v nfs4');
      expect(sh('remote', 'cat /v/f')).toBe('it');
      create('nowhere', 'addr=192.0.2.2,nfsvers=4.1,soft,port=2050');
      expect(() => sh('nowhere', 'true')).toThrow(/mount nfs at .*Connection refused/);
      create('unnamed', 'addr=nobody.invalid');
      expect(() => sh('unnamed', 'true')).toThrow('error resolving passed in network volume address');
    } finally {
      await server.stop();
    }
  });
});

describe('--host-routes', () => {
  it('leads the host to containers and gateways, until the daemon ends or dies', async () => {
    await daemon.process.stop();
    const before = networkState(namespaceCommand);
    await start('--host-routes', '--host-networking=false');
    docker('network', 'create', '--subnet', '10.230.0.0/24', 'app');
    docker('run', '-d', '--name', 'web', '--network', 'app', '-p', '8020:80', ...web('80'), 'sh', 'web');
    docker('run', '-d', '--name', 'other', ...web('80'), 'sh', 'other');
    await until(() => fetched('10.230.0.2:80') === 'web\n');
    await until(() => fetched('172.17.0.2:80') === 'other\n');
    // a gateway's address is the host's, where its published ports are
    await until(() => fetched('172.17.0.1:8020') === 'web\n');
    expect(fetched('10.230.0.1:8020')).toBe('web\n');
    // and not a way back
    const back = ['exec', 'other', 'timeout', '5', 'wget', '-qO-', 'http://198.19.254.1:8020'];
    expect(() => docker(...back)).toThrow();
    docker('rm', '-f', 'web');
    docker('network', 'rm', 'app');
    expect(onHost('ip', 'route')).not.toContain('10.230.0.0');

    // what the host has a route to is not taken away from that
    onHost('ip', 'route', 'add', 'blackhole', '10.231.7.0/24');
    docker('network', 'create', '--subnet', '10.231.0.0/16', 'taken');
    expect(onHost('ip', 'route')).not.toContain('10.231.0.0/16');
    docker('network', 'rm', 'taken');
    onHost('ip', 'route', 'del', 'blackhole', '10.231.7.0/24');

    // nobody else is let in, as a machine that the host forwards for
    const echoes = (): string =>
      docker('exec', 'other', 'sh', '-c', `grep Icmp: /proc/net/snmp | awk 'NR==2 {print $10}'`).trim();
    const ping = (...from: string[]): void =>
      void onHost('sh', '-c', `busybox ping -c 1 -W 2 ${from.join(' ')} 172.17.0.2 || true`);
    const heard = Number(echoes());
    onHost('ip', 'addr', 'add', '198.19.254.77/32', 'dev', 'lo');
    ping('-I', '198.19.254.77');
    onHost('ip', 'addr', 'del', '198.19.254.77/32', 'dev', 'lo');
    ping();
    expect(Number(echoes())).toBe(heard + 1);

    await daemon.kill9();
    await until(() => networkState(namespaceCommand) === before);
    await daemon.start();
    await until(() => fetched('172.17.0.2:80') === 'other\n');
    docker('rm', '-f', 'other');
    await daemon.process.stop();
    expect(networkState(namespaceCommand)).toBe(before);
  });

  it('without it, and without host networking, says so', async () => {
    await start('--host-networking=false');
    const { stderr } = spawnSync(
      'docker',
      ['-H', daemon.host, 'run', '--rm', '--network', 'host', 'busybox:1', 'ls', '/sys/class/net'],
      { encoding: 'utf8' },
    );
    expect(stderr).toContain('Host networking is turned off');
  });
});

function namespaceCommand(...command: string[]): string {
  return onHost(...command);
}
