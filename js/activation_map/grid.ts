/** The frame and its tiles as numbers that can be looked up. Rows are tokens, columns places in the order. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { Answer } from "../shared/host/host";
import type { Grid } from "../shared/map/grid";
import type { ActivationsFrame } from "./state";

export interface Activations {
  readonly frame: ActivationsFrame;
  readonly grid: Grid;
  /** The dimension in a column, and the column of a dimension. */
  readonly order: NumberArray;
  readonly columnOf: NumberArray;
  /** By dimension. */
  readonly rms: NumberArray;
  readonly norms: NumberArray;
  /** Dimensions; largest RMS first. */
  readonly outliers: readonly number[];
  readonly isOutlier: ReadonlySet<number>;
}

export function readActivations(frame: ActivationsFrame): Activations {
  const order = unpack(frame.order);
  const columnOf = new Uint32Array(order.length);
  for (let column = 0; column < order.length; column++) columnOf[order[column] ?? 0] = column;
  const rms = unpack(frame.rms);
  const outliers = Array.from(unpack(frame.outliers));
  const { row0, row1, column0, column1, per_row, per_column, values } = frame;
  const [height = 0, width = 0] = values.shape;
  return {
    ...{ frame, order, columnOf, rms, norms: unpack(frame.norms) },
    grid: {
      ...{ values: unpack(values), height, width, row: row0, column: column0, row1, column1 },
      ...{ perRow: per_row, perColumn: per_column },
    },
    outliers: outliers.sort((a, b) => (rms[b] ?? 0) - (rms[a] ?? 0)),
    isOutlier: new Set(outliers),
  };
}

/** The answer to "tile"; null when it is not one. */
export function readTile({ arrays, result }: Answer): Grid | null {
  const { values } = arrays;
  const numbers = [
    ...["row0", "row1", "column0", "column1", "per_row", "per_column"].map((name) => result[name]),
  ];
  if (!values || !numbers.every((number) => typeof number === "number")) return null;
  const [row, row1, column, column1, perRow, perColumn] = numbers as [
    ...[number, number, number, number, number, number],
  ];
  const [height = 0, width = 0] = values.shape;
  return {
    ...{ values: values.values, height, width, row, row1, column, column1 },
    ...{ perRow, perColumn },
  };
}
