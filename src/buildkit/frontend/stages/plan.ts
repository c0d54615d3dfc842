// What a stage is to do, with every variable put in: made by the interpreter, turned into LLB by the graph's steps.

import type { Platform } from '../../contract/llb';
import type { HostAddress, NetworkName, Ulimit } from '../options/build-options';
import type { Lines } from '../text/statement';
import type { ImageState } from '../image/image-state';
import type { MountOptions } from '../syntax/mounts';
import type { Scope } from './scope';

/** Where files come from. */
export type Origin =
  | { readonly kind: 'scratch' }
  /** The build's main context. */
  | { readonly kind: 'context' }
  | { readonly kind: 'stage'; readonly index: number }
  /** An image or a named context: what a FROM of that name would be. */
  | { readonly kind: 'external'; readonly name: string };

interface StepBase {
  /** As clients show it, with its place in the stage. */
  readonly title: string;
  readonly lines: Lines;
  readonly ignoresCache: boolean;
  /** Of the stage. */
  readonly platform: Platform;
}

/** A file that is a part of the Dockerfile. */
export interface InlineFile {
  readonly name: string;
  readonly content: string;
}

export interface PlannedMount extends MountOptions {
  readonly origin: Origin;
}

export interface RunStep extends StepBase {
  readonly kind: 'run';
  /** As it is written. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  /** Mounted at `/dev/pipes/`; undefined for none. */
  readonly script: InlineFile | undefined;
  readonly mounts: readonly PlannedMount[];
  readonly network: NetworkName;
  readonly isInsecure: boolean;
  readonly proxies: ReadonlyMap<string, string>;
  readonly hostname: string;
  readonly extraHosts: readonly HostAddress[];
  readonly ulimits: readonly Ulimit[];
  readonly cgroupParent: string;
  readonly shmSizeBytes: number;
}

export type CopyPart =
  | { readonly kind: 'files'; readonly origin: Origin; readonly path: string; readonly unpack: boolean }
  | { readonly kind: 'inline'; readonly file: InlineFile }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly filename: string;
      readonly checksum: string;
      readonly unpack: boolean;
    }
  | {
      readonly kind: 'git';
      readonly url: string;
      readonly keepGitDir: boolean;
      readonly checksum: string;
    };

export interface CopyStep extends StepBase {
  readonly kind: 'copy';
  readonly parts: readonly CopyPart[];
  /** Absolute; with a slash at its end where it has to be a directory. */
  readonly destination: string;
  readonly chown: string;
  /** Octal or symbolic; '' keeps what files have. */
  readonly chmod: string;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
}

export interface WorkdirStep extends StepBase {
  readonly kind: 'workdir';
  readonly path: string;
  readonly user: string;
}

export type Step = RunStep | CopyStep | WorkdirStep;

/** What a stage begins with. */
export type Base =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'external'; readonly name: string };

export interface StagePlan {
  readonly base: Base;
  readonly platform: Platform;
  /** Of FROM, as clients show it; '' where nothing is shown. */
  readonly baseTitle: string;
  /** Of FROM, as it is written. */
  readonly baseCommand: string;
  readonly baseLines: Lines;
  readonly steps: readonly Step[];
  readonly image: ImageState;
  /** At its end: stages that go on from it have the same. */
  readonly scope: Scope;
  /** Whether an SBOM is to be of it, or of the context, too. */
  readonly scans: { readonly stage: boolean; readonly context: boolean };
}
