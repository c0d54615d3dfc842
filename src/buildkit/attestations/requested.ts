// Which attestations a build is asked for: `attest:TYPE` and `build-arg:BUILDKIT_ATTEST_TYPE` among its options, each a line of CSV.

import { BuildError } from '../contract/errors';

export interface RequestedAttestations {
  /** Undefined: none. */
  readonly provenance: ReadonlyMap<string, string> | undefined;
  readonly sbom: ReadonlyMap<string, string> | undefined;
}

const prefixes = ['attest:', 'build-arg:BUILDKIT_ATTEST_'];

/** Throws InvalidArgument for kinds that don't exist. */
export function requestedAttestations(options: ReadonlyMap<string, string>): RequestedAttestations {
  const found = new Map<string, ReadonlyMap<string, string>>();
  for (const [key, value] of options) {
    const prefix = prefixes.find((each) => key.startsWith(each));
    if (prefix === undefined) continue;
    const kind = key.slice(prefix.length).toLowerCase();
    if (kind !== 'provenance' && kind !== 'sbom')
      throw new BuildError(
        'InvalidArgument',
        `unknown attestation type ${JSON.stringify(kind.slice(0, 64))}`,
      );
    const attributes = attributesIn(value);
    if (attributes.get('disabled') !== 'true') found.set(kind, attributes);
  }
  return { provenance: found.get('provenance'), sbom: found.get('sbom') };
}

/** Fields of one line of CSV; those with commas have quotes around them. */
function attributesIn(line: string): Map<string, string> {
  const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain,
  );
  return new Map(
    fields
      .filter((field) => field !== '')
      .map((field) => {
        const [key = '', ...rest] = field.split('=');
        return [key, rest.join('=')] as const;
      }),
  );
}
