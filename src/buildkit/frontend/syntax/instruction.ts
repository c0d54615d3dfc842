// Instructions by type. Variables in them are not expanded yet.

import type { Directive } from '../text/directives';
import type { Heredoc, Lines, Statement } from '../text/statement';
import type { HealthcheckText } from './healthcheck';
import type { MountText } from './mounts';

/** A command line that the stage's shell runs, unless it was given as a JSON array. */
export interface CommandText {
  readonly words: readonly string[];
  readonly usesShell: boolean;
}

export interface Pair {
  readonly key: string;
  readonly value: string;
}

export interface ArgText {
  readonly name: string;
  readonly value: string | undefined;
  /** Of the comment above it. */
  readonly description: string;
}

export interface CopyText {
  readonly kind: 'add' | 'copy';
  readonly sources: readonly string[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: string;
  readonly from: string;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  readonly checksum: string;
  /** Undefined where it isn't said. */
  readonly keepGitDir: boolean | undefined;
  readonly unpack: boolean | undefined;
}

export interface RunText {
  readonly kind: 'run';
  readonly command: CommandText;
  readonly heredocs: readonly Heredoc[];
  readonly mounts: readonly MountText[];
  readonly network: string;
  readonly security: string;
}

export type Instruction = { readonly statement: Statement } & (
  | CopyText
  | RunText
  | { readonly kind: 'arg'; readonly args: readonly ArgText[] }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandText }
  | {
      readonly kind: 'env' | 'label';
      readonly pairs: readonly Pair[];
      /** `NAME the rest of the line`. */
      readonly isLegacy: boolean;
    }
  | { readonly kind: 'expose'; readonly ports: readonly string[] }
  | { readonly kind: 'healthcheck'; readonly check: HealthcheckText }
  | { readonly kind: 'maintainer'; readonly name: string }
  | { readonly kind: 'onbuild'; readonly trigger: string }
  | { readonly kind: 'shell'; readonly words: readonly string[] }
  | { readonly kind: 'stopsignal'; readonly signal: string }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'volume'; readonly paths: readonly string[] }
  | { readonly kind: 'workdir'; readonly path: string }
);

export type InstructionOf<Kind extends Instruction['kind']> = Extract<Instruction, { kind: Kind }>;

/** From one FROM to the next. */
export interface Stage {
  /** Its place in the file. */
  readonly index: number;
  /** In lower case; '' without AS. */
  readonly name: string;
  /** As it was written. */
  readonly givenName: string;
  /** `AS` as it was written; '' without. */
  readonly as: string;
  /** As it was written, with variables. */
  readonly base: string;
  readonly platform: string;
  readonly statement: Statement;
  readonly instructions: readonly Instruction[];
  /** Of the comment above it. */
  readonly description: string;
}

export interface Dockerfile {
  readonly stages: readonly Stage[];
  /** Before the first FROM. */
  readonly globalArgs: readonly InstructionOf<'arg'>[];
  readonly escape: string;
  readonly check: Directive | undefined;
  readonly emptyContinuations: readonly Lines[];
  /** In the file's order, with the FROMs. */
  readonly statements: readonly Statement[];
}
