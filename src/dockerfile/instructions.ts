// What instructions say, by type. Made by instruction-parser; carried out by builder/.

import type { ImageRunConfig } from '../docker/image-config';

/** A command line that the image's shell runs, unless it was given as a JSON array. */
export interface CommandLine {
  /** Undefined for an ENTRYPOINT without anything. */
  words: string[] | undefined;
  usesShell: boolean;
}

export interface KeyValue {
  key: string;
  value: string;
}

export type Command = { original: string } & (
  | {
      kind: 'add' | 'copy';
      sources: string[];
      destination: string;
      chown: string;
      chmod: string;
      from: string;
    }
  | { kind: 'arg'; args: { key: string; value: string | undefined }[] }
  | { kind: 'cmd' | 'entrypoint'; command: CommandLine }
  | { kind: 'run'; command: CommandLine; flagsUsed: string[] }
  | { kind: 'env'; pairs: KeyValue[] }
  /** `literal`: of `--label`, nothing is substituted. */
  | { kind: 'label'; pairs: KeyValue[]; literal: boolean }
  | { kind: 'expose'; ports: string[] }
  | { kind: 'healthcheck'; healthcheck: NonNullable<ImageRunConfig['Healthcheck']> }
  | { kind: 'maintainer'; maintainer: string }
  | { kind: 'onbuild'; trigger: string }
  | { kind: 'shell'; shell: string[] }
  | { kind: 'stopsignal'; signal: string }
  | { kind: 'user'; user: string }
  | { kind: 'volume'; paths: string[] }
  | { kind: 'workdir'; path: string }
);

export type ArgCommand = Extract<Command, { kind: 'arg' }>;
export type CopyCommand = Extract<Command, { kind: 'add' | 'copy' }>;

/** From one FROM to the next. */
export interface Stage {
  /** In lower case; '' without AS. */
  name: string;
  baseName: string;
  platform: string;
  original: string;
  commands: Command[];
}

export interface BuildPlan {
  /** Before the first FROM. */
  metaArgs: ArgCommand[];
  stages: Stage[];
}
