import { fillHostConfig } from '../../../../src/semantics/create/defaults';
import { withCreateDefaults, withRunDefaults } from '../../../../src/semantics/create/daemon-defaults';
import { plainDefaults } from '../../../support/fakes/engine-fakes';

describe('at create', () => {
  const config = {
    defaultShmBytes: 1024,
    containerDefaults: {
      ...plainDefaults,
      logDriver: 'local',
      logOptions: { 'max-size': '1m', compress: 'true' },
    },
  };
  it.each([
    [{}, { Type: 'local', Config: { 'max-size': '1m', compress: 'true' } }],
    [{ Config: { 'max-size': '2m' } }, { Type: 'local', Config: { 'max-size': '2m', compress: 'true' } }],
    [{ Type: 'json-file' }, { Type: 'json-file', Config: {} }],
  ])('the log of %j', (LogConfig, expected) => {
    expect(withCreateDefaults({ LogConfig }, config).LogConfig).toEqual(expected);
  });

  it('shared memory', () => {
    expect(withCreateDefaults({}, config).ShmSize).toBe(1024);
    expect(withCreateDefaults({ ShmSize: 5 }, config).ShmSize).toBe(5);
  });

  it('namespaces', () => {
    const namespaces = { ...plainDefaults, ipcMode: 'shareable', cgroupnsMode: 'host' };
    const given = { ...config, containerDefaults: namespaces };
    expect(withCreateDefaults({}, given)).toMatchObject({ IpcMode: 'shareable', CgroupnsMode: 'host' });
    const own = { IpcMode: 'none', CgroupnsMode: 'private' };
    expect(withCreateDefaults(own, given)).toMatchObject(own);
    expect(withCreateDefaults({}, config)).not.toHaveProperty('CgroupnsMode');
  });
});

describe('at start', () => {
  const defaults = {
    ...plainDefaults,
    init: true,
    noNewPrivileges: true,
    ulimits: [
      { Name: 'nofile', Soft: 1, Hard: 2 },
      { Name: 'nproc', Soft: 3, Hard: 4 },
    ],
    dns: ['9.9.9.9'],
    dnsSearch: ['example.org'],
  };

  it('a container that says nothing gets all', () => {
    expect(withRunDefaults(fillHostConfig({}), defaults)).toMatchObject({
      Init: true,
      Ulimits: defaults.ulimits,
      Dns: ['9.9.9.9'],
      DnsSearch: ['example.org'],
      SecurityOpt: ['no-new-privileges'],
    });
  });

  it.each([
    [{}, ['seccomp={}']],
    [{ SecurityOpt: ['seccomp=unconfined'] }, ['seccomp=unconfined']],
    [{ Privileged: true }, ['label=disable']],
  ])('the seccomp profile of %j', (own, expected) => {
    const profile = { ...plainDefaults, seccompProfile: { path: '/profile', text: '{}' } };
    expect(withRunDefaults(fillHostConfig(own), profile).SecurityOpt).toEqual(expected);
  });

  it('what it says itself stands', () => {
    const own = {
      Init: false,
      Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }],
      Dns: ['1.1.1.1'],
      SecurityOpt: ['no-new-privileges=false'],
    };
    expect(withRunDefaults(fillHostConfig(own), defaults)).toMatchObject({
      ...own,
      Ulimits: [...own.Ulimits, { Name: 'nproc', Soft: 3, Hard: 4 }],
    });
  });
});
