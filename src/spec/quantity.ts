const SUFFIX: Record<string, number> = {
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

/**
 * The value of a Kubernetes quantity ("10Gi", "1.5G", "1e9", "500m"), in bytes for sizes and whole units for others.
 * Undefined if it is none.
 */
export function quantityBytes(quantity: string): number | undefined {
  const match = /^(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})(?:([eE][+-]?\d{1,2})|([mkMGTPE]|[KMGTPE]i))?$/.exec(quantity);
  if (match === null) return undefined;
  const [, number = '', exponent = '', suffix = ''] = match;
  const value = Number(number + exponent) * (SUFFIX[suffix] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}
