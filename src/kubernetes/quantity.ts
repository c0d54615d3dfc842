// Resource quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

import { ManifestError } from './manifest-error';

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const pattern = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/;

/** In the base unit (bytes, CPUs). Throws ManifestError, which names `path`. */
export function parseQuantity(quantity: string | number, path: string): number {
  const match = pattern.exec(String(quantity));
  if (match === null) {
    throw new ManifestError(
      `${path}: ${JSON.stringify(quantity)} is not a quantity, such as 500m, 1.5 or 128Mi`,
    );
  }
  const [, number = '', exponent = '', suffix = ''] = match;
  const value = Number(number + exponent) * (suffixes[suffix] ?? 1);
  if (value < 0 || !Number.isFinite(value))
    throw new ManifestError(`${path}: must not be negative or infinite`);
  return value;
}

/** Rounded up, as Kubernetes does with a fraction of a byte. */
export function parseBytes(quantity: string | number, path: string): number {
  return Math.ceil(parseQuantity(quantity, path));
}

/** In thousandths of a CPU, rounded up. */
export function parseMilliCpus(quantity: string | number, path: string): number {
  // 1e-6: what multiplying by a decimal suffix may have added
  return Math.max(0, Math.ceil(parseQuantity(quantity, path) * 1000 - 1e-6));
}
