// attestations/: what a build states of its results.
//
// An in-toto statement: a predicate, and the digests that it is about.

import { errorMessage } from '../../errors';
import { BuildError } from '../contract/errors';
import type { Attestation, LayerDescriptor } from '../contract/solver';
import { imageUrl } from './package-url';

const maxPredicateBytes = 40 * 1024 * 1024;

export interface StatementSubject {
  /** Of the image; without one the subject has no name of its own. */
  readonly names: readonly string[];
  /** Of the manifest. */
  readonly digest: string;
  readonly platform: { os: string; architecture: string; variant?: string };
  /** Of the image and of others made with it, by diff ID. */
  readonly layers: ReadonlyMap<string, LayerDescriptor>;
}

interface Subject {
  name: string;
  digest: Record<string, string>;
}

/** About an image. */
export async function statementOf(
  attestation: Attestation,
  { names, digest, platform, layers }: StatementSubject,
  signal: AbortSignal,
): Promise<Buffer> {
  const own = names.map((name) => ({ name: imageUrl(name, platform), digest: digestSet([digest]) }));
  return Buffer.from(JSON.stringify(await statement(attestation, own, signal, layers)));
}

/** About files, as a file beside them. */
export async function fileStatementOf(
  attestation: Attestation,
  files: readonly { name: string; digest: string }[],
  signal: AbortSignal,
): Promise<Buffer> {
  const own = files.map(({ name, digest }) => ({ name, digest: digestSet([digest]) }));
  return Buffer.from(JSON.stringify(await statement(attestation, own, signal), undefined, 2));
}

async function statement(
  attestation: Attestation,
  own: readonly Subject[],
  signal: AbortSignal,
  layers?: StatementSubject['layers'],
): Promise<object> {
  const { predicateType, subjects } = attestation;
  const bytes = await attestation.content(signal, layers);
  if (bytes.length > maxPredicateBytes)
    throw new BuildError('ResourceExhausted', `an attestation exceeds ${maxPredicateBytes} bytes`);
  let predicate: unknown;
  try {
    predicate = bytes.length === 0 ? null : JSON.parse(bytes.toString());
  } catch (error) {
    throw new BuildError('InvalidArgument', `invalid in-toto predicate: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const wanted = subjects.length === 0 ? [{ kind: 'self' as const, name: '', digests: [] }] : subjects;
  return {
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType,
    subject: wanted.flatMap((subject) => {
      if (subject.kind === 'raw') return [{ name: subject.name || '_', digest: digestSet(subject.digests) }];
      const more = subject.name === '' || subject.name === '_' ? [] : [subject.name];
      return own.flatMap(({ name, digest }) => [name, ...more].map((each) => ({ name: each, digest })));
    }),
    predicate,
  };
}

function digestSet(digests: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    digests.map((digest) => {
      const [algorithm = '', hex = ''] = digest.split(':');
      return [algorithm, hex] as const;
    }),
  );
}
