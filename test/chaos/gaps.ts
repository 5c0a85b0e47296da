/** How long writes stood still, by what happened, as a table with bars. */

const EDGES_MS = [100, 300, 1000, 3000, 10_000] as const;
const LABELS = ['<0.1 s', '<0.3 s', '<1 s', '<3 s', '<10 s', 'longer'];
const BARS = ' ▁▂▃▄▅▆▇█';

export class Gaps {
  readonly #byKind = new Map<string, number[]>();

  add(kind: string, gapMs: number): void {
    this.#byKind.set(kind, [...(this.#byKind.get(kind) ?? []), gapMs]);
  }

  get count(): number {
    return [...this.#byKind.values()].reduce((sum, gaps) => sum + gaps.length, 0);
  }

  table(): string {
    const rows = [...this.#byKind].sort(([a], [b]) => a.localeCompare(b));
    const width = Math.max(16, ...rows.map(([kind]) => kind.length));
    const head = ['what happened'.padEnd(width), 'times', 'median', 'longest', ...LABELS].join('  ');
    return [
      head,
      ...rows.map(([kind, gaps]) => {
        const sorted = gaps.toSorted((a, b) => a - b);
        const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
        const cells = LABELS.map((label, at) => {
          const count = gaps.filter((gap) => EDGES_MS.filter((edge) => gap >= edge).length === at).length;
          const bar = BARS[Math.ceil((8 * count) / gaps.length)] ?? '';
          return `${bar} ${count === 0 ? '' : count}`.padEnd(label.length);
        });
        return [
          kind.padEnd(width),
          String(gaps.length).padStart(5),
          ms(median).padStart(6),
          ms(sorted.at(-1) ?? 0).padStart(7),
          ...cells,
        ]
          .join('  ')
          .trimEnd();
      }),
    ].join('\n');
  }
}

function ms(value: number): string {
  return value < 10_000 ? `${Math.round(value)}` : `${(value / 1000).toFixed(1)}s`;
}
