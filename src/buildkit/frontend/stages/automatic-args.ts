// Build arguments that are there without being given (Dockerfile reference, "Automatic platform ARGs", "Predefined ARGs").

import { platformText } from '../options/platforms';
import type { Platform } from '../../contract/llb';

export interface PlatformPair {
  readonly build: Platform;
  readonly target: Platform;
}

/** In scope of every FROM; a stage that wants one declares it. */
export function automaticArgs({ build, target }: PlatformPair, targetStage: string): Map<string, string> {
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, platformText(platform)],
    [`${prefix}OS`, platform.OS],
    [`${prefix}OSVERSION`, platform.OSVersion],
    [`${prefix}ARCH`, platform.Architecture],
    [`${prefix}VARIANT`, platform.Variant],
  ];
  return new Map([
    ...of('BUILD', build),
    ...of('TARGET', target),
    ['TARGETSTAGE', targetStage === '' ? 'default' : targetStage],
  ]);
}

const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/** They are given to every RUN, count for no key and are in no history. By their names in lower case. */
export function proxyArgs(buildArgs: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of proxies) {
    const value = buildArgs.get(name.toLowerCase()) ?? buildArgs.get(name);
    if (value !== undefined) found.set(name.toLowerCase(), value);
  }
  return found;
}

/** What an SBOM is made of besides the result: yes, no, or names of stages. */
export const scanArgs = { context: 'BUILDKIT_SBOM_SCAN_CONTEXT', stage: 'BUILDKIT_SBOM_SCAN_STAGE' } as const;

/** Arguments that are no variables. */
export function isForBuilder(name: string): boolean {
  return Object.values<string>(scanArgs).includes(name);
}

/** Never reported as undeclared. */
export function isPredefined(name: string): boolean {
  return proxies.includes(name.toUpperCase());
}
