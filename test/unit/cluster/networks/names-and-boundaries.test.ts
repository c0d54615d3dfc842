// Names that a container's name server answers, and boundaries between networks.

import { nameTable, type NamedMember } from '../../../../src/cluster/networks/name-table';
import { isolationPolicy, networkPolicy } from '../../../../src/cluster/networks/policies';

function member(name: string, networkNames: string[], given: Partial<NamedMember> = {}): NamedMember {
  return {
    containerId: name.repeat(12).slice(0, 64),
    name,
    address: `10.0.0.${name.length}`,
    networks: networkNames.map((network) => ({
      id: network,
      name: network,
      hasNames: network !== 'bridge',
      aliases: [`${name}-alias`],
      links: {},
    })),
    links: {},
    ...given,
  };
}

describe('the table of names', () => {
  it('has who shares a network, by name and alias, and nobody else', () => {
    const own = member('web', ['front']);
    const lines = nameTable(
      own,
      [own, member('db-1', ['front']), member('other', ['back'])],
      ['10.96.0.10'],
    ).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'self web',
        'name db-1 10.0.0.4',
        'name db-1-alias.front 10.0.0.4',
        'pointer 10.0.0.4 db-1.front',
        'upstream 10.96.0.10',
      ]),
    );
    expect(lines.join('\n')).not.toContain('other');
  });

  it('has a link on a network by its alias, there too with the name of the network', () => {
    const own = member('web', ['front']);
    const linked = {
      ...own,
      networks: own.networks.map((network) => ({ ...network, links: { store: 'db-1' } })),
    };
    const lines = nameTable(linked, [linked, member('db-1', ['front'])], []).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['name store 10.0.0.4', 'name store.front 10.0.0.4']));
  });

  it('has no names on the default bridge, but of links', () => {
    const own = member('web', ['bridge']);
    const target = member('db', ['bridge']);
    expect(nameTable(own, [own, target], [])).toBe('');
    const linked = { ...own, links: { store: target.containerId } };
    expect(nameTable(linked, [linked, target], [])).toContain('name store 10.0.0.2');
  });

  it('leaves out who has no address yet, and what would be read as another line', () => {
    const own = member('web', ['front']);
    const evil = member('evil', ['front']);
    const aliases = ['x 10.0.0.9\nupstream 10.6.6.6', 'spoofed 10.6.6.6'];
    const broken = { ...evil, networks: evil.networks.map((network) => ({ ...network, aliases })) };
    const table = nameTable(own, [own, member('late', ['front'], { address: undefined }), broken], []);
    expect(table).not.toContain('late');
    expect(table.split('\n').filter((line) => line.startsWith('upstream'))).toEqual([]);
    expect(table.split('\n').filter((line) => line.startsWith('name spoofed'))).toEqual([]);
  });
});

describe('boundaries', () => {
  const boundary = { id: 'f'.repeat(64), internal: false, interContainer: true };

  it('close everybody in, and let members of a network out and reach each other', () => {
    expect(isolationPolicy({}).spec).toMatchObject({
      policyTypes: ['Ingress', 'Egress'],
      ingress: [],
      egress: [],
    });
    const { spec } = networkPolicy(boundary, {});
    expect(spec?.egress).toEqual([{}]);
    expect(spec?.ingress).toEqual([{ _from: [{ podSelector: spec?.podSelector }] }]);
  });

  it('let members of an internal network reach each other alone', () => {
    const { spec } = networkPolicy({ ...boundary, internal: true }, {});
    expect(spec?.egress).toEqual([{ to: [{ podSelector: spec?.podSelector }] }]);
  });

  it('let nobody in where containers are not to reach each other', () => {
    const { spec } = networkPolicy({ ...boundary, internal: true, interContainer: false }, {});
    expect(spec).toMatchObject({ ingress: [], egress: [] });
  });
});
