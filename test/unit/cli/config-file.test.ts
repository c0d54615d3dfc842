import { Command } from 'commander';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig, readConfigFile } from '../../../src/cli/config-file';
import { loadConfig } from '../../../src/cli/daemon-config';
import {
  addDaemonOptions,
  daemonOptions,
  foreignDirectives,
  givenFlags,
} from '../../../src/cli/daemon-options';
import type { Config } from '../../../src/config';

const commandOf = (...args: string[]): Command =>
  addDaemonOptions(new Command('daemon').option('--config-file <path>'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' });
const refusal = (text: string, ...args: string[]): string => {
  try {
    parseConfig(text, givenFlags(commandOf(...args)));
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

// What dockerd 20.10 says.
describe('the file is refused as dockerd refuses it', () => {
  it.each([
    ['{"foo":1,"bar":2}', "the following directives don't match any configuration option: bar, foo"],
    ['{"debug":"x"}', 'json: cannot unmarshal string into Go struct field Config.debug of type bool'],
    [
      '{"shutdown-timeout":"x"}',
      'json: cannot unmarshal string into Go struct field Config.shutdown-timeout of type int',
    ],
    ['{"labels":["a"]}', 'configuration validation from file failed: bad attribute format: a'],
    ['{"host-gateway-ip":"x"}', 'invalid IP address: x'],
    ['{"ip":"x"}', 'invalid IP address: x'],
    [
      '{"features":{"buildkit":1}}',
      'json: cannot unmarshal object into Go struct field Config.features of type map[string]bool',
    ],
    [
      '{"features":{"other":true}}',
      'configuration validation from file failed: feature other has no meaning for this daemon',
    ],
    ['{"dns":["x"]}', 'configuration validation from file failed: x is not an ip address'],
    [
      '{"max-concurrent-downloads":-1}',
      'configuration validation from file failed: invalid max concurrent downloads: -1',
    ],
    [
      '{"max-concurrent-uploads":-1}',
      'configuration validation from file failed: invalid max concurrent uploads: -1',
    ],
    [
      '{"max-download-attempts":0}',
      'configuration validation from file failed: invalid max download attempts: 0',
    ],
    [
      '{"experimental":"x"}',
      'json: cannot unmarshal string into Go struct field Config.experimental of type bool',
    ],
    [
      '{"default-ipc-mode":"host"}',
      'configuration validation from file failed: IPC mode "host" is not supported as default value; use "shareable" or "private"',
    ],
    [
      '{"default-ipc-mode":"x"}',
      'configuration validation from file failed: default IPC mode setting (x) is invalid; use "shareable" or "private"',
    ],
    [
      '{"default-cgroupns-mode":"x"}',
      'configuration validation from file failed: default cgroup namespace mode (x) is invalid; use "host" or "private"',
    ],
    ['', 'EOF'],
    ['[]', 'json: cannot unmarshal array into Go value of type map[string]interface {}'],
    ['null', ''],
    [
      '{"iptables":false}',
      'the following directives have no meaning for this daemon: iptables (the host’s network is left alone)',
    ],
  ])('%s', (text, message) => expect(refusal(text)).toBe(message));

  it.each([
    [
      '{"debug":true,"labels":["a=b"]}',
      ['--debug=false', '--label', 'c=d'],
      'debug: (from flag: false, from file: true), labels: (from flag: [c=d], from file: [a=b])',
    ],
    [
      '{"default-ulimits":{"nofile":{"Name":"nofile","Soft":1,"Hard":2}}}',
      ['--default-ulimit', 'nproc=3:4'],
      'default-ulimits: (from flag: map[nproc=3:4], from file: map[nofile=1:2])',
    ],
    ['{"log-opts":{"a":"b"}}', ['--log-opt', 'c=d'], 'log-opts: (from flag: map[c:d], from file: map[a:b])'],
  ])('%s with %j', (text, args, conflicts) => {
    expect(refusal(text, ...args)).toBe(
      `the following directives are specified both as a flag and in the configuration file: ${conflicts}`,
    );
  });

  it('names the file, and minds only one that was named', async () => {
    await expect(readConfigFile('/nowhere.json', new Map())).rejects.toThrow(
      'unable to configure the Docker daemon with file /nowhere.json: open /nowhere.json: no such file or directory',
    );
  });

  it('knows no key twice', () => {
    const keys = [...daemonOptions.map(({ key }) => key), ...Object.keys(foreignDirectives)];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('flags are refused as dockerd refuses them', () => {
  it.each([
    [
      ['--default-ulimit', 'nofile=10:5'],
      'ulimit soft limit must be less than or equal to hard limit: 10 > 5',
    ],
    [['--default-ulimit', 'foo=10'], 'invalid ulimit type: foo'],
    [['--dns', 'x'], 'x is not an ip address'],
    [['--label', 'x'], 'bad attribute format: x'],
    [['--label', 'a=b', '--label', 'a=c'], 'conflict labels for a=c and a=b'],
    [['--registry-mirror', 'foo'], 'invalid mirror: unsupported scheme "" in "foo"'],
    [['--log-level', 'loud'], 'loud is none of'],
    [['--storage-size', '1k'], 'at least 64m'],
    [['--default-address-pool', 'base=1,size=3'], 'invalid CIDR address: 1'],
    [['--default-address-pool', 'base=10.0.0.0/8,size=4'], 'invalid pools size: 4'],
    [['--bip', '10.0.0.1'], 'invalid CIDR address: 10.0.0.1'],
    [['--init=maybe'], 'invalid syntax'],
    [['--host-gateway-ip', 'x'], 'x is not an ip address'],
    [['--iptables=false'], 'it has no meaning for this daemon: the host’s network is left alone'],
    [['--rootless'], 'it has no meaning for this daemon'],
    [['--storage-opt', 'a=b'], 'use storage-size'],
    [['--nonsense'], "unknown option '--nonsense'"],
  ])('%j', (args, message) => expect(() => commandOf(...args)).toThrow(message));
});

describe('the configuration', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'caisson-config-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const load = (file: object, ...args: string[]): Promise<Config> => {
    const path = join(directory, 'daemon.json');
    writeFileSync(path, JSON.stringify(file));
    return loadConfig(commandOf('--config-file', path, ...args));
  };

  it('has dockerd’s defaults', async () => {
    expect(await load({})).toMatchObject({
      hosts: ['unix:///run/caisson/caisson.sock'],
      debug: false,
      logLevel: 'info',
      maxConcurrentDownloads: 3,
      maxConcurrentUploads: 5,
      maxDownloadAttempts: 5,
      experimental: false,
      shutdownTimeoutSeconds: 15,
      defaultShmBytes: 64 * 2 ** 20,
      containerDefaults: { logDriver: 'json-file', logOptions: {}, init: false, dns: [] },
      networkDefaults: { mtu: 1500, interContainer: true, hostBindingAddress: '0.0.0.0', addressPools: [] },
    });
  });

  it('is what file and flags say together', async () => {
    const config = await load(
      {
        debug: true,
        hosts: ['tcp://127.0.0.1', 'unix:///x'],
        'log-driver': 'local',
        'log-opts': { 'max-size': '1m' },
        'default-ulimits': { nofile: { Name: 'nofile', Soft: 1, Hard: 2 } },
        'default-address-pools': [{ base: '10.0.0.0/8', size: 24 }],
        tlsverify: true,
      },
      '--no-new-privileges',
      '--default-shm-size=1g',
      '--tlscert=/cert',
      '--init',
    );
    expect(config).toMatchObject({
      debug: true,
      logLevel: 'debug',
      hosts: ['tcp://127.0.0.1', 'unix:///x'],
      defaultShmBytes: 2 ** 30,
      tls: { verify: true, certPath: '/cert' },
      containerDefaults: {
        init: true,
        noNewPrivileges: true,
        logDriver: 'local',
        logOptions: { 'max-size': '1m' },
        ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }],
      },
      networkDefaults: { addressPools: [{ base: '10.0.0.0/8', size: 24 }] },
    });
  });

  it('says which builder clients are told of', async () => {
    expect(await load({})).toMatchObject({ preferredBuilder: undefined });
    expect(await load({ features: { buildkit: true } })).toMatchObject({ preferredBuilder: 'buildkit' });
    expect(await load({ features: { buildkit: false, other: false } })).toMatchObject({
      preferredBuilder: 'classic',
    });
    expect(await load({}, '--feature', 'buildkit')).toMatchObject({ preferredBuilder: 'buildkit' });
    expect(await load({}, '--feature=buildkit=false')).toMatchObject({ preferredBuilder: 'classic' });
  });

  it('takes a seccomp profile, which must be there', async () => {
    const path = join(directory, 'profile.json');
    writeFileSync(path, '{}');
    const { containerDefaults } = await load({ 'seccomp-profile': path });
    expect(containerDefaults.seccompProfile).toEqual({ path, text: '{}' });
    await expect(load({ 'seccomp-profile': '/nowhere' })).rejects.toThrow(
      'opening seccomp profile (/nowhere) failed: open /nowhere: no such file or directory',
    );
  });

  it('refuses options that the log driver does not have', async () => {
    await expect(load({ 'log-opts': { foo: 'bar' } })).rejects.toThrow(
      "failed to set log opts: unknown log opt 'foo' for json-file log driver",
    );
  });
});
