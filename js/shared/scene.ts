/** What the model has of the kind of attention that is shown: its layers, and their heads. */

import type { KindInfo, LayerInfo, Scene, TraceState } from "./state";

export function kindInfo(scene: Scene, name: string): KindInfo | undefined {
  return scene.kinds?.find((kind) => kind.name === name);
}

/** The layers of the current kind, as the model numbers them. */
export function layersOf(state: TraceState): readonly LayerInfo[] {
  return kindInfo(state.scene, state.kind)?.layers ?? [];
}

export function layerNumbers(state: TraceState): number[] {
  return layersOf(state).map(({ number }) => number);
}

/** The layer `by` places away, or null at the ends. */
export function neighbour(layers: readonly number[], layer: number, by: number): number | null {
  const index = layers.indexOf(layer);
  return index < 0 ? (layers[0] ?? null) : (layers[index + by] ?? null);
}

/** How many heads the current layer has. */
export function headsOf(state: TraceState): number {
  return layersOf(state).find((layer) => layer.number === state.layer)?.heads ?? 0;
}

/** The heads that are shown, where an empty list means all. */
export function shownHeads(heads: readonly number[], nHeads: number): readonly number[] {
  return heads.length ? heads : Array.from({ length: nHeads }, (_, head) => head);
}

/** Adds a head or takes it away. All on, or none left, is written as [] = all. */
export function toggleHead(heads: readonly number[], head: number, nHeads: number): number[] {
  const on = new Set(shownHeads(heads, nHeads));
  if (on.has(head)) on.delete(head);
  else on.add(head);
  return on.size === nHeads ? [] : [...on].sort((a, b) => a - b);
}

/** This head by itself; where it is, all of them. */
export function headAlone(heads: readonly number[], head: number, nHeads: number): number[] {
  return nHeads < 2 || (heads.length === 1 && heads[0] === head) ? [] : [head];
}
