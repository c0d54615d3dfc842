import { TestEngine } from '../../../support/fakes/engine-fakes';
import { membersNotInSwagger, wireTypeErrors } from '../../../support/wire/wire-types';

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

describe('what the engine tells of a container', () => {
  let engine: TestEngine;
  beforeEach(() => (engine = new TestEngine()));
  afterEach(() => engine.dispose());

  /** Checked as it is sent: JSON knows no `undefined`. */
  async function expectDeclared(id: string, state: string): Promise<void> {
    const { containers } = engine;
    const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
    const inspected = await containers.inspect(id, { size: true });
    expect(inspected.State.Status).toBe(state);
    expect(wireTypeErrors('ContainerInspect', sent(inspected))).toEqual([]);
    const list = await containers.list({ all: true, limit: 0, size: true, filters: new Map() });
    expect(wireTypeErrors('ContainerSummary[]', sent(list))).toEqual([]);
  }

  it('is as declared in each of its states', async () => {
    const id = await engine.create({
      Tty: true,
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9 },
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8080' }] }, Tmpfs: { '/t': '' } },
    });
    await expectDeclared(id, 'created');
    await engine.containers.start(id, {});
    // no guest counts here what was written
    engine.vms.last.agent.on('job.start', () => Promise.reject(new Error('no such job')));
    const { Id: execId } = await engine.execs.create(id, { Cmd: ['true'] });
    expect(
      wireTypeErrors('ExecInspect', JSON.parse(JSON.stringify(await engine.execs.inspect(execId)))),
    ).toEqual([]);
    await expectDeclared(id, 'running');
    await engine.containers.pause(id);
    await expectDeclared(id, 'paused');
    await engine.containers.unpause(id);
    const { exit } = await engine.containers.wait(id, 'not-running', new AbortController().signal);
    engine.vms.last.crash();
    await exit;
    await expectDeclared(id, 'exited');
  });
});
