/** The frame unpacked: rows are layers, columns positions or heads. */

import { unpack } from "../shared/arrays";
import { type Column, column } from "../shared/map/axis";
import type { Cell } from "../shared/map/plot";
import { nameOf, tokenName } from "../shared/names";
import type { Axis, Packed } from "../shared/state";
import type { PatchFrame } from "./state";

export interface PatchData {
  readonly frame: PatchFrame;
  readonly layers: readonly number[];
  /** Positions or heads. */
  readonly places: readonly number[];
  /** The labels of both sides. */
  readonly rows: Column;
  readonly columns: Column;
  /** Positions whose tokens differ. */
  readonly differing: readonly number[];
  /** Colours end at ± this; larger shares, where there are some, have the last colour. */
  readonly bound: number;
  readonly isClipped: boolean;
  /** Cells by how much they recover, most first. */
  readonly strongest: readonly Cell[];
  recovered(cell: Cell): number;
  patched(cell: Cell): number;
  /** The cell of a layer and a position or head; null where there is none. */
  cellOf(numbers: readonly number[]): Cell | null;
  /** Layer, and position or head. */
  numbersOf(cell: Cell): [layer: number, place: number];
}

/** Shares beyond it are drawn as this one. */
const FARTHEST = 2;

export function patchData(frame: PatchFrame): PatchData {
  const [layers, places] = [[...unpack(frame.layers)], [...unpack(frame.places)]];
  const [recovered, patched] = [unpack(frame.recovered), unpack(frame.patched)];
  const known = [...recovered.keys()].filter((i) => Number.isFinite(recovered[i]));
  const largest = known.reduce((most, i) => Math.max(most, Math.abs(recovered[i] ?? 0)), 1);
  const at = (i: number): Cell => ({
    query: Math.floor(i / places.length),
    key: i % places.length,
  });
  const strongest = known.sort((a, b) => (recovered[b] ?? 0) - (recovered[a] ?? 0)).map(at);
  const index = ({ query, key }: Cell): number => query * places.length + key;
  const differs = unpack(frame.differs);
  const differing = [...differs.keys()].filter((position) => differs[position]);
  return {
    ...{ frame, layers, places, differing, strongest },
    rows: column(plainAxis(layers.map(String))),
    columns: column(
      frame.columns === "head"
        ? plainAxis(places.map(String))
        : tokenAxis(frame, places, new Set(differing)),
    ),
    bound: Math.min(FARTHEST, largest),
    isClipped: largest > FARTHEST,
    recovered: (cell) => recovered[index(cell)] ?? Number.NaN,
    patched: (cell) => patched[index(cell)] ?? Number.NaN,
    cellOf([layer = -1, place = -1]) {
      const cell = { query: layers.indexOf(layer), key: places.indexOf(place) };
      return cell.query < 0 || cell.key < 0 ? null : cell;
    },
    numbersOf: ({ query, key }) => [layers[query] ?? 0, places[key] ?? 0],
  };
}

function zeros(n: number): Packed {
  return { dtype: "uint8", shape: [n], data: new Uint8Array(n) };
}

function axisOf(labels: string[], units: Uint32Array, more: Partial<Axis>): Axis {
  return {
    ...{ sequence: "text", labels, predicted: null, emphasis: "label" },
    ...{ special: zeros(labels.length), generated: zeros(labels.length) },
    unit_of_token: { dtype: "uint32", shape: [units.length], data: units },
    ...more,
  };
}

/** Labels that are numbers. */
function plainAxis(labels: string[]): Axis {
  return axisOf(labels, Uint32Array.from(labels.keys()), {});
}

/** "Paris → Rome" where the tokens of both runs differ. */
function tokenAxis(
  { clean, corrupted, side }: PatchFrame,
  places: readonly number[],
  differing: ReadonlySet<number>,
): Axis {
  const units = new Uint32Array(clean.texts.length).fill(places.length);
  const special = unpack(clean.special);
  const predicted: string[] = [];
  for (const [unit, position] of places.entries()) {
    units[position] = unit;
    if (differing.has(position)) predicted[unit] = corrupted.texts[position] ?? "";
  }
  const ofPlaces = Uint8Array.from(places, (position) => special[position] ?? 0);
  return axisOf(
    places.map((position) => clean.texts[position] ?? ""),
    units,
    {
      ...{ sequence: side, predicted },
      special: { dtype: "uint8", shape: [places.length], data: ofPlaces },
    },
  );
}

/** What is patched in a column, in a sentence: "head 3", "‘Paris’ for ‘Rome’". */
export function placeName({ frame, places, differing }: PatchData, key: number): string {
  const place = places[key] ?? 0;
  if (frame.columns === "head") return `head ${place}`;
  const { clean, corrupted } = frame;
  const name = tokenName(clean.texts, place);
  if (!differing.includes(place)) return name;
  return `${name} for ${nameOf(corrupted.texts[place] ?? "", null)}`;
}
