// The variables by which a container on the default bridge finds one that it is linked to. Docker's names and values.

interface LinkedPort {
  number: number;
  protocol: string;
}

export interface LinkedContainer {
  /** `/parent/alias`. */
  name: string;
  address: string;
  /** As in its configuration: `80/tcp`. */
  exposedPorts: readonly string[];
  env: readonly string[];
}

/** Set anew by the linking container's own image. */
const notPassedOn: readonly string[] = ['HOME', 'PATH'];

export function linkEnvironment({ name, address, exposedPorts, env }: LinkedContainer): string[] {
  const alias = name.slice(name.lastIndexOf('/') + 1);
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const ports = exposedPorts.map(parsePort).sort(byNumber);
  const url = ({ number, protocol }: LinkedPort): string => `${protocol}://${address}:${String(number)}`;
  const key = ({ number, protocol }: LinkedPort): string =>
    `${prefix}_PORT_${String(number)}_${protocol.toUpperCase()}`;
  const [first] = ports;
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...portRanges(ports).flatMap(([start, end]) => [
      `${key(start)}_START=${url(start)}`,
      `${key(start)}_ADDR=${address}`,
      `${key(start)}_PROTO=${start.protocol}`,
      `${key(start)}_PORT_START=${String(start.number)}`,
      `${key({ ...end, number: start.number })}_END=${url(end)}`,
      `${key({ ...end, number: start.number })}_PORT_END=${String(end.number)}`,
    ]),
    ...ports.flatMap((port) => [
      `${key(port)}=${url(port)}`,
      `${key(port)}_ADDR=${address}`,
      `${key(port)}_PORT=${String(port.number)}`,
      `${key(port)}_PROTO=${port.protocol}`,
    ]),
    `${prefix}_NAME=${name}`,
    ...env.flatMap((entry) => {
      const end = entry.indexOf('=');
      return end < 0 || notPassedOn.includes(entry.slice(0, end)) ? [] : [`${prefix}_ENV_${entry}`];
    }),
  ];
}

function parsePort(text: string): LinkedPort {
  const [number = '', protocol = 'tcp'] = text.split('/');
  return { number: Number(number), protocol };
}

function byNumber(a: LinkedPort, b: LinkedPort): number {
  return a.number - b.number || Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp');
}

/** Runs of at least three ports whose numbers follow each other: Docker sums up only those. */
function portRanges(ports: readonly LinkedPort[]): [LinkedPort, LinkedPort][] {
  const ranges: [LinkedPort, LinkedPort][] = [];
  for (let index = 0; index < ports.length;) {
    let last = index;
    for (let next = index + 1; next < ports.length; next++) {
      const [before, after] = [ports[last], ports[next]];
      if (before === undefined || after === undefined || after.number > before.number + 1) break;
      last = next;
    }
    const [start, end] = [ports[index], ports[last]];
    if (last > index + 1 && start !== undefined && end !== undefined) {
      ranges.push([start, end]);
      index = last + 1;
    } else index++;
  }
  return ranges;
}
