/** What the model has of the kind of attention that is shown: its layers, and their heads. */

import type { CommonState, KindInfo, LayerInfo, Scene } from "./state";

export function kindInfo(scene: Scene, name: string): KindInfo | undefined {
  return scene.kinds?.find((kind) => kind.name === name);
}

/** The layers of the current kind, as the model numbers them. */
export function layersOf(state: CommonState): readonly LayerInfo[] {
  return kindInfo(state.scene, state.kind)?.layers ?? [];
}

export function layerNumbers(state: CommonState): number[] {
  return layersOf(state).map(({ number }) => number);
}

/** How many heads the current layer has. */
export function headsOf(state: CommonState): number {
  return layersOf(state).find((layer) => layer.number === state.layer)?.heads ?? 0;
}
