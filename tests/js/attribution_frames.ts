/** Small made-up frames of AttributionStrip, of exactly the form that Python sends. */

import type { AttributionFrame, Input, MatrixPart, Target } from "../../js/attribution_strip/state";
import { pack } from "./fake_host";

export const TOKENS = ["The", " cat", " sat", " on", " it", "."];
const N = TOKENS.length;

export function target(place: number, more: Partial<Target> = {}): Target {
  const text = TOKENS[place];
  return {
    ...{ position: place, place, row: place - 1 },
    token: { id: 10 + place, text: text ?? " Then" },
    ...{ against: null, came: text !== undefined, quantity: "log_probability", unit: "nats" },
    words: `log-probability of “${text ?? " Then"}”`,
    ...{ value: Math.log(0.5), sum: 0.75, completeness: null },
    ...more,
  };
}

/** Token i counts (i + 1)/10 for target 0, the even ones against it; of what comes later nothing. */
export function attributionOf(index: number, place: number, token: number): number {
  if (token >= place) return 0;
  return (((token % 2 ? 1 : -1) * (token + 1)) / 10) * (index + 1);
}

export function input(targets: readonly Target[], more: Partial<Input> = {}): Input {
  const places = TOKENS.map((_, token) => token);
  const rows = targets.map(({ place }, index) =>
    places.map((token) => attributionOf(index, place, token)),
  );
  const total = (row: number[]): number => row.reduce((so, one) => so + Math.abs(one), 0);
  const shape = [targets.length, N];
  return {
    ...{ sequence: "text", texts: TOKENS, gaps: [...TOKENS, ""].map(() => "") },
    ...{ split: [], unwritten: [], units: N, labels: TOKENS },
    ...{ special: pack(places.map(() => 0)), generated: pack(places.map(() => 0)) },
    unit_of_token: pack(places, "uint32"),
    values: pack(rows.flat(), "float32", shape),
    share: pack(
      rows.flatMap((row) => row.map((one) => Math.abs(one) / total(row))),
      "float32",
      shape,
    ),
    ...more,
  };
}

type Key = AttributionFrame["key"];

export function keyOf(more: Partial<Key> = {}): Key {
  return {
    ...{ position: null, token: null, against: null, quantity: "log_probability" },
    ...{ method: "gradient_x_input", baseline: "zero", steps: 50 },
    ...{ targets: [], show: "strip", unit: "token" },
    ...more,
  } as Key;
}

export function frame(
  targets: readonly Target[] = [target(N)],
  more: Partial<AttributionFrame> = {},
): AttributionFrame {
  return {
    ...{ kind: "attribution", key: keyOf(), offset: 0, places: [1, N] as [number, number] },
    ...{ targets: [...targets], current: targets.length - 1, inputs: [input(targets)] },
    ...{ bound: 0.6, how: "gradient × input", matrix: null },
    ...more,
  };
}

export function matrixFrame(more: Partial<MatrixPart["maps"][number]> = {}): AttributionFrame {
  const rows = [1, 2, 3, 4, 5];
  const cells = rows.flatMap((place) => TOKENS.map((_, token) => attributionOf(0, place, token)));
  const part: MatrixPart = {
    rows: rows.length,
    labels: TOKENS.slice(1),
    positions: pack(rows, "uint32"),
    places: pack(rows, "uint32"),
    value: pack(
      rows.map((place) => -place),
      "float32",
    ),
    ...{ words: "log-probability", unit: "nats" },
    maps: [
      {
        ...{ sequence: "text", cols: N, pooled: "exact", cells_per_pixel: 1, zero: 128 },
        values: pack(
          cells.map((value) => 128 + Math.round(100 * value)),
          "uint8",
          [rows.length, N],
        ),
        row_scale: pack(
          rows.map(() => 0.01),
          "float32",
        ),
        exact: pack(cells, "float32", [rows.length, N]),
        max: 0.5,
        ...more,
      },
    ],
    largest: {
      row: pack([4, 4], "uint32"),
      sequence: pack([0, 0]),
      column: pack([4, 3], "uint32"),
      value: pack([-0.5, 0.4], "float32"),
    },
  };
  const key = keyOf({ position: 2, show: "matrix" });
  return frame([target(2)], { key, matrix: part });
}
