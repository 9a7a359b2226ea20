/** Numbers of layers or heads as people write them: "0-5, 12". */

/** Numbers that follow each other are written by their ends. */
export function numbersText(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/** Those of `numbers` that a text names; [] = all, null where it is no such text, or names none. */
export function readNumbers(text: string, numbers: readonly number[]): number[] | null {
  const parts = text.split(/[,;\s]+/).filter(Boolean);
  if (!parts.length || text.trim() === "all") return [];
  const wanted = new Set<number>();
  for (const part of parts) {
    const [, first, , last] = /^(\d+)((?:-|–)(\d+))?$/.exec(part) ?? [];
    if (first === undefined) return null;
    const [from, to] = [Number(first), Number(last ?? first)];
    for (const number of numbers) if (number >= from && number <= to) wanted.add(number);
  }
  if (!wanted.size) return null;
  return wanted.size === numbers.length ? [] : [...wanted].sort((a, b) => a - b);
}
