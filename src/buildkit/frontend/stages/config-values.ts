// Values of the image's configuration as instructions write them and history shows them.

import { goDuration } from '../../../go/duration';
import { goQuote } from '../../../go/quote';
import type { Linter } from '../lint/linter';
import type { HealthcheckText } from '../syntax/healthcheck';
import { DockerfileProblem } from '../text/problem';
import type { Lines } from '../text/statement';

const protocols = ['tcp', 'udp', 'sctp'];
const maxPort = 65_535;

/** `80`, `80-82/udp`; of `[[ip:]host:]container` the container's. Throws DockerfileProblem in Docker's words. */
export function exposedPorts(spec: string): string[] {
  const slash = spec.indexOf('/');
  const path = slash < 0 ? spec : spec.slice(0, slash);
  const given = slash < 0 ? '' : spec.slice(slash + 1);
  const protocol = given === '' ? 'tcp' : given.toLowerCase();
  const range = path.slice(path.lastIndexOf(':') + 1);
  if (range === '') throw new DockerfileProblem(`No port specified: ${spec}<empty>`);
  const [, start = '', end = start] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
  const [first, last] = [Number(start), Number(end)];
  if (start === '' || last < first || last > maxPort)
    throw new DockerfileProblem(`Invalid containerPort: ${range}`);
  if (!protocols.includes(protocol)) throw new DockerfileProblem(`Invalid proto: ${given}`);
  return Array.from({ length: last - first + 1 }, (_unused, i) => `${first + i}/${protocol}`);
}

export function reportExpose(specs: readonly string[], linter: Linter, lines: Lines): void {
  for (const spec of specs) {
    const [path = '', protocol = ''] = spec.split('/', 2);
    if (protocol !== protocol.toLowerCase()) {
      linter.report(
        'ExposeProtoCasing',
        lines,
        `Defined protocol '${spec}' in EXPOSE instruction should be lowercase`,
      );
    }
    if (path.includes(':')) {
      linter.report(
        'ExposeInvalidFormat',
        lines,
        `EXPOSE instruction should not define an IP address or host-port mapping, found '${spec}'`,
      );
    }
  }
}

/** As Go prints the structure, with quotes. */
export function healthcheckText(check: HealthcheckText): string {
  const { test, interval, timeout, startPeriod, startInterval, retries } = check;
  const times = [interval, timeout, startPeriod, startInterval].map((time) => `"${goDuration(time)}"`);
  return `&{[${test.map(goQuote).join(' ')}] ${times.join(' ')} ${goRune(retries)}}`;
}

/** A number as Go's %q prints it: a character. */
function goRune(code: number): string {
  const isCharacter = code <= 0x10_ffff && !(code >= 0xd800 && code < 0xe000);
  const char = isCharacter ? String.fromCodePoint(code) : '\ufffd';
  if (char === "'") return String.raw`'\''`;
  if (char === '"') return `'"'`;
  if (code === 0) return String.raw`'\x00'`;
  return `'${goQuote(char).slice(1, -1)}'`;
}
