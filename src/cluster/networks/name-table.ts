// What each container's name server knows (guest/supervisor/names/table.h): names on its networks, as Docker's would answer. Pure.

/** A container on a network, as far as names are concerned. */
export interface NamedMember {
  containerId: string;
  name: string;
  /** Of its Pod; undefined: it has none yet. */
  address: string | undefined;
  networks: readonly {
    id: string;
    name: string;
    /** Docker's default bridge has no names, nor have `host` and `none`. */
    hasNames: boolean;
    aliases: readonly string[];
    /** Of this container alone: alias → name. */
    links: Readonly<Record<string, string>>;
  }[];
  /** Docker's links on the default bridge: alias → container's id. */
  links: Readonly<Record<string, string>>;
}

/** The table of `own`, who may be among `members`; lines as the name server reads them. */
export function nameTable(
  own: NamedMember,
  members: readonly NamedMember[],
  upstreams: readonly string[],
): string {
  const lines = new Set<string>();
  const named = own.networks.filter(({ hasNames }) => hasNames);
  for (const { id, name } of named) {
    for (const word of namesOn(own, id)) {
      lines.add(`self ${word}`);
      lines.add(`self ${word}.${name}`);
    }
    for (const member of members)
      if (member.containerId !== own.containerId) addMember(lines, member, id, name);
    addLinks(lines, own, members, { id, name });
  }
  for (const [alias, containerId] of Object.entries(own.links)) {
    const target = members.find((member) => member.containerId === containerId);
    if (target?.address === undefined) continue;
    for (const word of [alias, target.name, containerId.slice(0, 12)])
      lines.add(`name ${word} ${target.address}`);
  }
  for (const upstream of upstreams) lines.add(`upstream ${upstream}`);
  return [...lines].filter(isLine).sort().join('\n');
}

function addMember(lines: Set<string>, member: NamedMember, networkId: string, networkName: string): void {
  const { address } = member;
  if (address === undefined) return;
  for (const word of namesOn(member, networkId)) {
    lines.add(`name ${word} ${address}`);
    lines.add(`name ${word}.${networkName} ${address}`);
    if (word === member.name) lines.add(`pointer ${address} ${word}.${networkName}`);
  }
}

/** Links on a network with names of its own: an alias there, of this container alone. */
function addLinks(
  lines: Set<string>,
  own: NamedMember,
  members: readonly NamedMember[],
  network: { id: string; name: string },
): void {
  const links = own.networks.find(({ id }) => id === network.id)?.links ?? {};
  for (const [alias, name] of Object.entries(links)) {
    for (const member of members) {
      if (member.address === undefined || !namesOn(member, network.id).includes(name)) continue;
      lines.add(`name ${alias} ${member.address}`);
      lines.add(`name ${alias}.${network.name} ${member.address}`);
    }
  }
}

/** Name, aliases and short id; nothing on a network that it is not on. */
function namesOn({ name, containerId, networks }: NamedMember, networkId: string): string[] {
  const network = networks.find(({ id }) => id === networkId);
  if (network === undefined) return [];
  return [...new Set([name, ...network.aliases, containerId.slice(0, 12)])];
}

/** An alias may be any text; what would be read as something else is no name that anybody can ask for. */
function isLine(line: string): boolean {
  return /^(?:(?:self|upstream) \S+|(?:name|pointer) \S+ \S+)$/.test(line);
}
