/** Made-up frames of AttentionLines. */

import type { LinesFrame, LinesKey } from "../../js/attention_lines/state";
import type { Axes } from "../../js/shared/state";
import { pack } from "./fake_host";

/** [query, key, map, weight] */
export type Line = readonly [query: number, key: number, map: number, weight: number];

interface Made {
  lines: readonly Line[];
  nMaps?: number;
  perRow?: number;
  /** Rows of a part; default all. */
  rows?: number;
  key?: Partial<LinesKey>;
  more?: Partial<LinesFrame>;
  undefinedRows?: readonly number[];
}

/** The arrays of one part: what its rows look at, and what arrives from others. */
export function chunkArrays(
  lines: readonly Line[],
  { first, rows, nMaps, perRow }: { first: number; rows: number; nMaps: number; perRow: number },
) {
  const [keys, weights] = [0, 0].map(() => new Array<number>(nMaps * rows * perRow).fill(0));
  const from: number[][] = [];
  const ranks = new Map<string, number>();
  for (const [query, key, map, weight] of [...lines].sort((a, b) => b[3] - a[3])) {
    const rank = ranks.get(`${query}:${map}`) ?? 0;
    ranks.set(`${query}:${map}`, rank + 1);
    const inside = (unit: number): boolean => unit >= first && unit < first + rows;
    if (inside(query) && rank < perRow) {
      const at = (map * rows + query - first) * perRow + rank;
      if (keys) keys[at] = key;
      if (weights) weights[at] = weight;
    } else if (inside(key) && !inside(query)) from.push([query, map, rank, key, weight]);
  }
  const part = (place: number): number[] => from.map((line) => line[place] ?? 0);
  return {
    key: pack(keys ?? [], "uint8", [nMaps, rows, perRow]),
    weight: pack(weights ?? [], "float32", [nMaps, rows, perRow]),
    from_row: pack(part(0), "uint32"),
    from_map: pack(part(1), "uint16"),
    from_rank: pack(part(2), "uint16"),
    from_key: pack(part(3)),
    from_weight: pack(part(4), "float32"),
  };
}

export function linesFrame(axes: Axes, made: Made): LinesFrame {
  const { lines, nMaps = 2, perRow = 4, undefinedRows, key, more } = made;
  const n = axes.query.labels.length;
  const rows = made.rows ?? n;
  const mass = Array.from({ length: nMaps }, (_, map) =>
    lines.filter((line) => line[2] === map).reduce((sum, line) => sum + line[3], 0),
  );
  return {
    kind: "lines",
    key: {
      ...{ kind: axes.kind, layer: 1, heads: [], unit: axes.unit },
      ...{ aggregate: "separate", sinks: "auto", sentences: "all" },
      ...key,
    },
    n_heads: 2,
    heads: pack([0, 1], "uint16"),
    lines: { ...chunkArrays(lines, { first: 0, rows, nMaps, perRow }), chunk: 0, first: 0 },
    chunk_rows: rows,
    per_row: perRow,
    n_total: lines.length,
    rule: { top_k: 99, threshold: null },
    shown: { n: lines.length, mass: 1 },
    scale: 1,
    faintest: 0.01,
    together: { query: 1, key: 1 },
    mass: pack(mass, "float32"),
    elsewhere: 0,
    sinks: {
      ...{ mode: "shown", words: "looked at by nearly all", share: 0 },
      units: pack([], "uint32"),
      of_map: pack([], "uint8", [nMaps, 0]),
      to: pack(new Array(nMaps * n).fill(0), "float32", [nMaps, n]),
    },
    minimap: pack([255], "uint8", [1, 1]),
    thumbnails: pack(new Array(8).fill(255), "uint8", [2, 2, 2]),
    undefined_rows: pack(undefinedRows ?? new Array(n).fill(0)),
    row_sums_note: "",
    ...more,
  };
}
