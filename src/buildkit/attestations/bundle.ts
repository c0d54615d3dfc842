// Bundles: a directory of in-toto statements that a step or a frontend has written, each of them an attestation.

import { errorMessage } from '../../errors';
import { BuildError } from '../contract/errors';
import type { Bridge } from '../contract/frontend';
import type { Attestation, AttestationBundle } from '../contract/solver';

const maxStatements = 256;
const maxStatementBytes = 40 * 1024 * 1024;
/** What the bridge reads at once. */
const partBytes = 16 * 1024 * 1024;
const provenancePrefix = 'https://slsa.dev/provenance/';

/** Throws for a type that only we state. */
export function requireNoProvenance(predicateType: string): void {
  if (predicateType.startsWith(provenancePrefix))
    throw new BuildError('InvalidArgument', 'frontend may not set provenance attestations');
}

/** Runs what the bundle is made by. The main statement of an SBOM is the first. */
export async function unbundled(
  { ref, path, predicateType, coreName, inlineOnly }: AttestationBundle,
  bridge: Pick<Bridge, 'readDir' | 'readFile'>,
  signal: AbortSignal,
): Promise<readonly Attestation[]> {
  const entries = await bridge.readDir(ref, path, '', signal);
  if (entries.length > maxStatements)
    throw new BuildError('ResourceExhausted', `more than ${maxStatements} attestations in one bundle`);
  const found: Attestation[] = [];
  for (const { path: name, type, sizeBytes } of entries) {
    if (type !== 'file') throw new BuildError('InvalidArgument', `attestation ${name} is no regular file`);
    if (sizeBytes > maxStatementBytes)
      throw new BuildError('ResourceExhausted', `${name} exceeds ${maxStatementBytes} bytes`);
    const file = `${path.replace(/\/$/, '')}/${name}`;
    const parts: Buffer[] = [];
    for (let offset = 0; offset < sizeBytes; offset += partBytes)
      parts.push(await bridge.readFile(ref, file, { offset, length: partBytes }, signal));
    const statement = statementIn(Buffer.concat(parts), predicateType);
    found.push({
      predicateType: statement.predicateType,
      subjects: statement.subjects,
      inlineOnly,
      path: file,
      content: () => Promise.resolve(statement.predicate),
    });
  }
  const isCore = ({ path: file }: Attestation): boolean =>
    file.slice(file.lastIndexOf('/') + 1).split('.', 1)[0] === coreName;
  return [...found.filter(isCore), ...found.filter((each) => !isCore(each))];
}

function statementIn(
  bytes: Buffer,
  wantedType: string,
): { predicateType: string; subjects: Attestation['subjects']; predicate: Buffer } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString());
  } catch (error) {
    const why = `cannot decode in-toto statement: ${errorMessage(error)}`;
    throw new BuildError('InvalidArgument', why, { cause: error });
  }
  const { predicateType, predicate = null, subject } = Object(parsed) as Record<string, unknown>;
  const type = typeof predicateType === 'string' ? predicateType : '';
  requireNoProvenance(type);
  if (wantedType !== '' && type !== wantedType)
    throw new BuildError(
      'InvalidArgument',
      `bundle entry ${type.slice(0, 200)} does not match required predicate type ${wantedType}`,
    );
  const subjects = (Array.isArray(subject) ? subject : []).map((each: unknown) => {
    const { name, digest } = Object(each) as Record<string, unknown>;
    const digests = Object.entries(Object(digest) as Record<string, unknown>);
    return {
      kind: 'raw' as const,
      name: typeof name === 'string' ? name : '',
      digests: digests.map(([algorithm, hex]) => `${algorithm}:${String(hex)}`),
    };
  });
  return { predicateType: type, subjects, predicate: Buffer.from(JSON.stringify(predicate)) };
}
