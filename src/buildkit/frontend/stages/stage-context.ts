// What the planners of steps see of the stage that is interpreted.

import type { ImageState } from '../image/image-state';
import type { Linter } from '../lint/linter';
import type { Instruction } from '../syntax/instruction';
import type { ExpandOptions } from '../words/expand';
import type { Program, StageHead } from './program';
import type { Scope } from './scope';
import type { StageTitles } from './titles';

export interface StageInput {
  readonly head: StageHead;
  /** Its own, and those that its base carries before them. */
  readonly instructions: readonly Instruction[];
  /** To be changed. */
  readonly image: ImageState;
  /** Of the stage that it goes on from. */
  readonly baseScope: Scope | undefined;
  /** Of the base, as clients show it. */
  readonly baseName: string;
  /** Whether `.dockerignore` leaves a path of the context out. */
  readonly isIgnored: ((path: string) => boolean) | undefined;
  /** Where several platforms are built at once, or this one is another. */
  readonly showsPlatform: boolean;
}

export interface StageContext {
  readonly program: Program;
  readonly input: StageInput;
  readonly image: ImageState;
  readonly scope: Scope;
  readonly titles: StageTitles;
  readonly linter: Linter;
  readonly ignoresCache: boolean;
  /** A word with its variables; those that nobody declared are told of. */
  expand(word: string, instruction: Instruction, options?: Partial<ExpandOptions>): string;
  /** An instruction as clients show it, with the values of variables. What is for a shell keeps its quotes and what has no value. */
  shown(instruction: Instruction, options?: { isShell?: boolean }): string;
  /** An instruction in the image's history. */
  record(text: string, options?: { hasLayer?: boolean }): void;
  /** Seen from the working directory. */
  absolute(path: string): string;
  /** For the shell of the stage. */
  withShell(words: readonly string[]): string[];
}
