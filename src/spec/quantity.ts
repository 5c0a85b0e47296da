const SUFFIX: Readonly<Record<string, number>> = {
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

/** The bytes of a size in Kubernetes' notation ("10Gi", "1.5G", "500"), or undefined if it is none. */
export function quantityBytes(size: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGTPE]i|[kMGTPE])?$/.exec(size);
  return match === null ? undefined : Number(match[1]) * (SUFFIX[match[2] ?? ''] ?? Number.NaN);
}
