import { membersNotInSwagger, wireTypeErrors } from '../../../support/wire-types';

/** What the swagger of 1.41 does not tell of, and why it is declared all the same. */
const knownToUs: Readonly<Record<string, string>> = {
  'AuthConfig.auth': 'clients send it in X-Registry-Auth',
  'AuthConfig.identitytoken': 'the same',
  'AuthConfig.registrytoken': 'the same',
  'EndpointSettings.DNSNames': 'API 1.44',
  'EndpointSettings.GwPriority': 'API 1.48',
  'EventMessage.from': 'dockerd sends it for clients before 1.22',
  'EventMessage.id': 'the same',
  'EventMessage.status': 'the same',
  'HealthConfig.StartInterval': 'API 1.44',
  'HostConfig.Annotations': 'API 1.43',
  'Mount.ImageOptions': 'API 1.48',
  'ProgressDetail.hidecounts': 'dockerd’s progress has it',
  'ProgressDetail.start': 'the same',
  'ProgressDetail.units': 'the same',
  'SystemInfo.SystemStatus': 'of classic swarm; dockerd 20.10 may still send it',
};

// The compiler reads the types once.
beforeAll(() => void membersNotInSwagger(), 120_000);

describe('the declared wire types', () => {
  it.each([
    ['ContainerCreateResponse', { Id: 'a', Warnings: [] }, []],
    [
      'ContainerCreateResponse',
      { Id: 'a', Warnings: ['x', 3] },
      ['ContainerCreateResponse.Warnings[1]: 3 is no string'],
    ],
    [
      'ContainerCreateResponse',
      { ID: 'a', Warnings: [] },
      ['ContainerCreateResponse.Id: missing', 'ContainerCreateResponse.ID: not declared'],
    ],
    ['HistoryItem[]', {}, ['HistoryItem[]: no list']],
  ])('%s: %j', (type, value, errors) => expect(wireTypeErrors(type, value)).toEqual(errors));

  it('have no member that Docker’s swagger does not know, but for those named here', () => {
    expect(membersNotInSwagger().sort()).toEqual(Object.keys(knownToUs).sort());
  });
});
