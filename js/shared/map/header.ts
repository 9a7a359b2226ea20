/** The controls that every map has: kind of attention, layer, unit, heads. */

import { kindChoices, layerStepper, segmented, UNITS } from "../controls";
import type { Host } from "../host/host";
import type { Theme } from "../palette";
import { headsOf, layerNumbers } from "../scene";
import type { CommonState, Kind, Unit } from "../state";
import { headTiles } from "./heads";

export interface MapHeader {
  readonly elements: readonly HTMLElement[];
  /** Head tiles: what the picture shows of the layer; belongs above it. */
  readonly heads: HTMLElement;
  update(state: CommonState, theme: Theme, pictures?: HeadPictures | null): void;
}

/** A small picture of every head, where a view has them: [n, size, size] bytes. */
export interface HeadPictures {
  n: number;
  values: ArrayLike<number>;
  size: number;
}

export function mapHeader(host: Host<CommonState>): MapHeader {
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const layer = layerStepper((value) => host.set({ layer: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const heads = headTiles((value) => host.set({ heads: value }));
  return {
    elements: [kind.element, layer.element, unit.element],
    heads: heads.element,
    update(state, theme, pictures = null) {
      kind.update({ choices: kindChoices(state.scene), value: state.kind });
      layer.update({ layers: layerNumbers(state), layer: state.layer });
      unit.update({ choices: UNITS, value: state.unit });
      const nHeads = headsOf(state) || (pictures?.n ?? 0);
      heads.update({ nHeads, heads: state.heads, theme, thumbnails: pictures });
    },
  };
}
