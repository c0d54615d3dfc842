// What an image's configuration says of its process. It comes from whoever made the image: nothing of it is to be believed.

import { BuildError } from '../contract/errors';

export interface ImageProcess {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  /** '' where it says none. */
  readonly workingDir: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** Throws InvalidArgument for what is no JSON; members that are not what they should be are left out. */
export function imageProcess(config: Buffer, image: string): ImageProcess {
  let parsed: { config?: Record<string, unknown> } | null;
  try {
    parsed = JSON.parse(config.toString()) as typeof parsed;
  } catch (error) {
    throw new BuildError('InvalidArgument', `failed to parse image config of ${image}`, { cause: error });
  }
  const { Entrypoint, Cmd, Env, WorkingDir, Labels } = parsed?.config ?? {};
  const labels = Object.entries(typeof Labels === 'object' && Labels !== null ? Labels : {});
  return {
    entrypoint: texts(Entrypoint),
    cmd: texts(Cmd),
    env: texts(Env),
    workingDir: typeof WorkingDir === 'string' ? WorkingDir : '',
    labels: new Map(labels.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : []))),
  };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
