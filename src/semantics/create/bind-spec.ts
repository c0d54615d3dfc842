// One entry of HostConfig.Binds: `source:destination:mode`, as dockerd reads it.

import { DaemonError } from '../../errors';

export interface BindSpec {
  /** An absolute path of the host, the name of a volume, or '' for an anonymous one. */
  source: string;
  /** As given. */
  destination: string;
  mode: string;
  readWrite: boolean;
  noCopy: boolean;
  propagation: string | undefined;
}

/** Words of which a mode has at most one each. */
const modeKinds: readonly RegExp[] = [
  /^(ro|rw)$/,
  /^[zZ]$/,
  /^r?(shared|slave|private)$/,
  /^nocopy$/,
  /^(consistent|cached|delegated)$/,
];

function isMode(mode: string): boolean {
  const words = mode.split(',');
  return (
    mode === '' ||
    (words.every((word) => modeKinds.some((kind) => kind.test(word))) &&
      modeKinds.every((kind) => words.filter((word) => kind.test(word)).length <= 1))
  );
}

/** Throws Internal for what is no specification or mode, which is what dockerd answers. */
export function parseBindSpec(bind: string): BindSpec {
  const refuse = (): never => {
    throw new DaemonError('Internal', `invalid volume specification: '${bind}'`);
  };
  const parts = bind.split(':');
  const [first = '', second, mode = ''] = parts;
  if (first === '' || parts.length > 3) refuse();
  // A mode alone: volumes without a source have none.
  if (parts.length === 2 && isMode(second ?? '')) refuse();
  if (!isMode(mode)) throw new DaemonError('Internal', `invalid mode: ${mode}`);
  const words = mode.split(',');
  return {
    source: second === undefined ? '' : first,
    destination: second ?? first,
    mode,
    readWrite: !words.includes('ro'),
    noCopy: words.includes('nocopy'),
    propagation: words.find((word) => modeKinds[2]?.test(word)),
  };
}
