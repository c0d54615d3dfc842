import type { Toleration } from '../config';
import { DaemonError } from '../errors';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;

/** A taint as `kubectl taint` writes it, `KEY[=VALUE][:EFFECT]`. Throws InvalidParameter. */
export function parseToleration(text: string): Toleration {
  const [, key, value, written] = /^([^=:]+)(?:=([^:]*))?(?::(.+))?$/.exec(text) ?? [];
  const effect = effects.find((name) => name === written);
  if (key === undefined || (written !== undefined && effect === undefined)) {
    throw new DaemonError(
      'InvalidParameter',
      `--kube-toleration: ${JSON.stringify(text)} is no taint, such as pool=vm:NoSchedule; effects are ${effects.join(', ')}`,
    );
  }
  return {
    key,
    ...(value === undefined ? { operator: 'Exists' } : { operator: 'Equal', value }),
    ...(effect === undefined ? {} : { effect }),
  };
}
