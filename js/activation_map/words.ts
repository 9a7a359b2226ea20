/** What is said of the map. */

import { type Child, h } from "../shared/dom";
import { unitName } from "../shared/map/axis";
import type { Grid, Known } from "../shared/map/grid";
import type { Cell } from "../shared/map/plot";
import { formatCount, percent } from "../shared/numbers";
import type { Activations } from "./grid";
import { formatActivation } from "./numbers";
import type { ActivationPicture } from "./picture";
import type { ActivationsFrame } from "./state";

const BLOCKS: Readonly<Record<string, string>> = {
  embedding: "Embedding",
  attention: "Attention output",
  cross: "Cross-attention output",
  mlp: "MLP output",
  mixer: "Mixer output",
  other: "Output of other blocks",
  residual: "Residual stream",
};

export function blockName(block: string): string {
  return BLOCKS[block] ?? block;
}

export function titleOf({ block, key }: ActivationsFrame): string {
  return block === "embedding" ? blockName(block) : `${blockName(block)}, layer ${key.layer}`;
}

const ORDERS: Readonly<Record<string, string>> = {
  dimension: "by number",
  largest: "largest RMS first",
  cluster: "clustered",
};

export function sizeWords({ tokens, dimensions, key }: ActivationsFrame): string {
  const count = (n: number, what: string): string =>
    `${formatCount(n)} ${n === 1 ? what : `${what}s`}`;
  const order = ORDERS[key.sort] ?? key.sort;
  return `${count(tokens, "token")} × ${count(dimensions, "dimension")}, ${order}`;
}

/** Over the map. */
export function captionWords({ frame }: Activations): Child[] {
  return [h("b", {}, titleOf(frame)), ` · ${sizeWords(frame)}`];
}

/** In a sentence, under it. */
export function wholeWords({ frame, outliers }: Activations): string {
  const n = outliers.length;
  const found =
    n === 0 ? "no outlier dimensions" : `${formatCount(n)} outlier dimension${n === 1 ? "" : "s"}`;
  return [
    `${titleOf(frame)}: ${sizeWords(frame)}; ${found}; largest size ${formatActivation(frame.largest)}.`,
    frame.note,
  ]
    .filter(Boolean)
    .join(" ");
}

function dimensionWords({ isOutlier }: Activations, dimension: number): string {
  return `dimension ${dimension}${isOutlier.has(dimension) ? " (outlier)" : ""}`;
}

function knownWords(known: Known | null): string {
  if (!known) return "…";
  const value = formatActivation(known.value);
  return known.isExact ? value : `at most ${formatActivation(Math.abs(known.value))} in size`;
}

export function cellWords(
  { tokens, map }: ActivationPicture,
  { query, key }: Cell,
  known: Known | null,
): string {
  const { axis } = tokens;
  const dimension = map.order[key] ?? 0;
  const norm = formatActivation(map.norms[query] ?? Number.NaN);
  const rms = formatActivation(map.rms[dimension] ?? Number.NaN);
  const name = unitName(axis, query);
  const words = `${name}, ${dimensionWords(map, dimension)}: ${knownWords(known)}`;
  return `${words} (norm of the token ${norm}, RMS of the dimension ${rms})`;
}

/** The same beside the crosshair, as short as it goes. */
export function tagWords(
  { tokens, map }: ActivationPicture,
  { query, key }: Cell,
  known: Known | null,
): Child[] {
  const dimension = dimensionWords(map, map.order[key] ?? 0);
  return [`${unitName(tokens.axis, query)}, ${dimension} `, h("b", {}, knownWords(known))];
}

export function columnWords(map: Activations, dimension: number): string {
  const rms = formatActivation(map.rms[dimension] ?? Number.NaN);
  return `${dimensionWords(map, dimension).replace("d", "D")}: RMS ${rms}`;
}

export function beyondWords({ beyond }: ActivationsFrame): string {
  return beyond > 0 ? `${percent(beyond)} of values lie beyond` : "";
}

export function pooledWords({ perRow, perColumn }: Grid): string {
  if (perRow === 1 && perColumn === 1) return "";
  const of = `${formatCount(perRow)} × ${formatCount(perColumn)}`;
  return `each pixel is the largest of ${of} (tokens × dimensions); zoom in for each`;
}
