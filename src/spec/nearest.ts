/** The name among `names` that `word` was most likely meant to be, or undefined if none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** Levenshtein's distance, two neighbours swapped counting as one; `limit` or more is not told apart. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const here = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const at = (line: number[], index: number): number => line[index] ?? limit;
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(at(above, column - 1) + (same ? 0 : 1), at(above, column) + 1, at(here, column - 1) + 1);
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, at(before, column - 2) + 1);
      here.push(cost);
    }
    [before, above] = [above, here];
  }
  return above[b.length] ?? limit;
}
