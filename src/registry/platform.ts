// `--platform`: `os[/architecture[/variant]]`, in the names OCI uses.

import { DaemonError } from '../errors';
import { goQuote } from '../go/quote';

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

const architectures: Record<string, string> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  amd64: 'amd64',
  i386: '386',
  386: '386',
  aarch64: 'arm64',
  arm64: 'arm64',
  armhf: 'arm',
  armel: 'arm',
  arm: 'arm',
  riscv64: 'riscv64',
  ppc64le: 'ppc64le',
  s390x: 's390x',
};
const systems = ['linux', 'windows', 'darwin', 'freebsd'];
const hostArchitecture = 'amd64';
/** What its kernel runs; '' is an image that says nothing. */
const nativeArchitectures = ['', hostArchitecture, '386'];
const component = /^[A-Za-z0-9_-]+$/;

export function isNative(architecture: string): boolean {
  return nativeArchitectures.includes(architecture);
}

/** Throws InvalidParameter in Docker's words for what is no platform. '' and undefined: the host's choice. */
export function parsePlatform(text: string | undefined): Platform | undefined {
  if (text === undefined || text === '') return undefined;
  const invalid = (reason: string): DaemonError =>
    new DaemonError('InvalidParameter', `${reason}: invalid argument`);
  const refuse = (reason: string): DaemonError => invalid(`${goQuote(text)}: ${reason}`);
  const parts = text.split('/');
  for (const part of parts) {
    if (component.test(part)) continue;
    throw invalid(
      `${goQuote(part)} is an invalid component of ${goQuote(text)}: platform specifier component must match ${goQuote(component.source)}`,
    );
  }
  const [first = '', second, variant] = parts.map((part) => part.toLowerCase());
  if (parts.length > 3) throw refuse('cannot parse platform specifier');
  if (second === undefined) {
    if (systems.includes(first)) return { os: first, architecture: hostArchitecture };
    const architecture = architectures[first];
    if (architecture === undefined) throw refuse('unknown operating system or architecture');
    return { os: 'linux', architecture };
  }
  const architecture = architectures[second] ?? second;
  return { os: first, architecture, ...(variant === undefined ? {} : { variant }) };
}
