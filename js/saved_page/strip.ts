/** The frame of PerplexityStrip, lit by the cross-attention of any layer and heads. */

import type { Json } from "../shared/host/stand_in";
import { kindInfo } from "../shared/scene";
import type { Scene, TraceState } from "../shared/state";
import type { Contents } from "./contents";
import { pack } from "./numbers";
import type { Selection, Weights } from "./weights";

/** Largest map that travels with the frame; of others rows are asked for. */
const CELLS = 1 << 15;

/** Layer and heads of the cross-attention that lights the source; null = the model has none. */
export function crossOf(state: TraceState): Selection | null {
  const layers = kindInfo(state.scene as Scene, "cross")?.layers.map(({ number }) => number);
  const [first] = layers ?? [];
  if (!layers || first === undefined) return null;
  const of = { kind: "cross", unit: "token", aggregate: "mean" } as const;
  if (state.kind === "cross") return { ...of, layer: state.layer, heads: state.heads };
  const distance = (layer: number): number => Math.abs(layer - state.layer);
  const layer = layers.reduce((best, one) => (distance(one) < distance(best) ? one : best), first);
  return { ...of, layer, heads: [] };
}

export function stripKey(state: TraceState): Json {
  const cross = crossOf(state);
  return { kind: "cross", layer: cross?.layer ?? null, heads: [...(cross?.heads ?? [])] };
}

export async function stripFrame(
  { strip, refusal }: Contents,
  weights: Weights,
  state: TraceState,
): Promise<Json> {
  if (!strip) throw new Error(refusal);
  const cross = crossOf(state);
  if (!cross || !strip.source) return strip;
  await weights.ready(cross.kind, cross.layer);
  const { values, rows, columns } = weights.maps(cross);
  const nHeads = weights.stored("cross", cross.layer)?.heads ?? 0;
  const by = `Hovering a word lights the source by cross-attention of layer ${cross.layer}`;
  return {
    ...strip,
    key: stripKey(state),
    cross_layer: cross.layer,
    note: `${by}, ${headWords(nHeads, cross.heads)}`,
    cross: rows * columns > CELLS ? null : pack("float32", [rows, columns], values[0] ?? []),
  };
}

function headWords(nHeads: number, heads: readonly number[]): string {
  if (heads.length === 1) return `head ${heads[0]}.`;
  return `mean of ${heads.length ? "" : "all "}${heads.length || nHeads} heads.`;
}

/** How much one target token's row looks at every source token. */
export async function sourceAnswer(weights: Weights, state: TraceState, position: number) {
  const cross = crossOf(state);
  if (!cross) throw new Error("This model has no cross-attention.");
  await weights.ready(cross.kind, cross.layer);
  const { values, columns } = weights.maps(cross);
  const row = values[0]?.subarray(position * columns, (position + 1) * columns) ?? [];
  return {
    result: { about: stripKey(state), position } as Json,
    arrays: { weights: pack("float32", [columns], row) },
  };
}
