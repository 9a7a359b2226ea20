/** The header of ActivationMap. */

import { type Choice, dropdown, kindChoices, layerStepper, segmented } from "../shared/controls";
import { type Host, isFixed } from "../shared/host/host";
import { type Zooming, zoomButtons } from "../shared/map/zoom";
import type { Shell } from "../shared/shell";
import { hasFrame, type Kind } from "../shared/state";
import type { ActivationState, Sort } from "./state";
import { blockName } from "./words";

export interface Header {
  /** Belongs above the map. */
  readonly zoom: HTMLElement;
  update(state: Readonly<ActivationState>): void;
  setZoomed(zoomed: boolean): void;
}

const SORTS: readonly Choice<Sort>[] = [
  { value: "dimension", label: "By number", title: "Dimensions by their number" },
  { value: "largest", label: "Largest first", title: "Dimensions with the largest RMS first" },
  {
    value: "cluster",
    label: "Clustered",
    title: "Dimensions that rise and fall together side by side",
  },
];

export function createHeader(shell: Shell, host: Host<ActivationState>, zooming: Zooming): Header {
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const block = dropdown<string>("Of", "block", (value) => host.set({ block: value }));
  const layer = layerStepper((value) => host.set({ layer: value }));
  const sort = segmented<Sort>("Order of dimensions", "sort", (value) => host.set({ sort: value }));
  const zoom = zoomButtons("map", zooming);
  shell.controls.append(kind.element, block.element, layer.element, sort.element);
  return {
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state) {
      // A saved page may have this one map.
      const alone = host.can?.("map") === false;
      const off = (name: keyof ActivationState & string): boolean => alone || isFixed(host, name);
      const blocks = hasFrame(state.frame) ? state.frame.blocks : [state.block];
      const names = blocks.map((value) => ({ value, label: blockName(value) }));
      kind.update({ choices: kindChoices(state.scene), value: state.kind, disabled: off("kind") });
      block.update({ choices: names, value: state.block, disabled: off("block") });
      layer.update({
        ...{
          layers: hasFrame(state.frame) ? state.frame.layers : [state.layer],
          layer: state.layer,
        },
        // There is one embedding.
        disabled: off("layer") || state.block === "embedding",
      });
      const clusters = state.sort === "cluster" || host.can?.("cluster") !== false;
      const sorts = SORTS.filter(({ value }) => value !== "cluster" || clusters);
      sort.update({ choices: sorts, value: state.sort, disabled: off("sort") });
    },
  };
}
