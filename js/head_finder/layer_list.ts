/** Layers as people write them: "0-5, 12". */

/** Numbers that follow each other are written by their ends. */
export function layersText(layers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last && layer === last[1] + 1) last[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/** Those of `layers` that a text names; [] = all, null where it is no such text, or names none. */
export function readLayers(text: string, layers: readonly number[]): number[] | null {
  const parts = text.split(/[,;\s]+/).filter(Boolean);
  if (!parts.length || text.trim() === "all") return [];
  const wanted = new Set<number>();
  for (const part of parts) {
    const [, first, , last] = /^(\d+)((?:-|–)(\d+))?$/.exec(part) ?? [];
    if (first === undefined) return null;
    const [from, to] = [Number(first), Number(last ?? first)];
    for (const layer of layers) if (layer >= from && layer <= to) wanted.add(layer);
  }
  if (!wanted.size) return null;
  return wanted.size === layers.length ? [] : [...wanted].sort((a, b) => a - b);
}
