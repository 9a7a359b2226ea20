/** What the model has of the kind of attention that is shown: its layers, and their heads. */

import type { KindInfo, LayerInfo, Scene, TraceState } from "./state";

function kindInfo(scene: Scene, name: string): KindInfo | undefined {
  return scene.kinds?.find((kind) => kind.name === name);
}

/** The layers of the current kind, as the model numbers them. */
export function layersOf(state: TraceState): readonly LayerInfo[] {
  return kindInfo(state.scene, state.kind)?.layers ?? [];
}

export function layerNumbers(state: TraceState): number[] {
  return layersOf(state).map(({ number }) => number);
}

/** How many heads the current layer has. */
export function headsOf(state: TraceState): number {
  return layersOf(state).find((layer) => layer.number === state.layer)?.heads ?? 0;
}

/** Turns one head on or off. All on, or none left, is written as [] = all. */
export function toggleHead(heads: readonly number[], head: number, nHeads: number): number[] {
  const on = new Set(heads.length ? heads : Array.from({ length: nHeads }, (_, i) => i));
  if (on.has(head)) on.delete(head);
  else on.add(head);
  return on.size === nHeads ? [] : [...on].sort((a, b) => a - b);
}
