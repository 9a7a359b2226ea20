/** The header of AttentionLines: layer, kind, unit, threshold, head tiles; and the legend. */

import { unpack } from "../shared/arrays";
import { headTiles, kindChoices, layerStepper, segmented, slider, UNITS } from "../shared/controls";
import { h } from "../shared/dom";
import { headsOf, layersOf } from "../shared/keys";
import { formatWeight, percent } from "../shared/numbers";
import type { Theme } from "../shared/palette";
import { hasFrame, type Kind, type Packed, type Unit } from "../shared/state";
import type { Host, ViewFrame } from "../shared/view";
import { type Fan, type Shown, strongestLine } from "./lines";
import type { LinesState } from "./state";
import { thresholdWords } from "./words";

export interface Header {
  /** Head tiles and threshold: what the picture shows of the layer; belongs above it. */
  readonly filters: HTMLElement;
  update(state: Readonly<LinesState>, theme: Theme, shown: Shown | null): void;
  /** The weight that a full line stands for: 1, or the strongest line of the lit tokens. */
  setScale(fans: readonly Fan[]): void;
}

export function createHeader(frame: ViewFrame, host: Host<LinesState>): Header {
  const layer = layerStepper((value) => host.set({ layer: value }));
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const threshold = slider("Weights ≥", "threshold", { min: 0, max: 1, step: 0.01 }, (value) =>
    host.set({ threshold: value }),
  );
  const heads = headTiles((value) => host.set({ heads: value }));
  frame.controls.append(kind.element, layer.element, unit.element);
  const note = h("span");
  const top = h("span", {}, "1");
  frame.legend.append(
    h("span", {}, "colour = head"),
    h("span", { class: "gh-scale" }, "weight 0", h("span", { class: "al-opacity" }), top),
    note,
  );
  let pictures: { packed: Packed; values: ArrayLike<number> } | null = null;
  return {
    filters: h("div", { class: "al-filters" }, heads.element, threshold.element),
    setScale(fans) {
      const [fan] = fans;
      top.textContent =
        fans.length > 1 ? "each token’s strongest" : fan ? formatWeight(strongestLine(fan)) : "1";
    },
    update(state, theme, shown) {
      kind.update({ choices: kindChoices(state.scene), value: state.kind });
      layer.update({ layers: layersOf(state).map((each) => each.number), layer: state.layer });
      unit.update({ choices: UNITS, value: state.unit });
      const lines = hasFrame(state.frame) ? state.frame : null;
      const share = shown ? ` shows ${percent(shown.mass)}` : "";
      const value = state.threshold ?? lines?.automatic_threshold ?? 0;
      threshold.update({ value, text: `${thresholdWords(value)}${share}` });
      if (lines && pictures?.packed !== lines.thumbnails) {
        pictures = { packed: lines.thumbnails, values: unpack(lines.thumbnails) };
      }
      heads.update({
        nHeads: headsOf(state) || (lines?.n_heads ?? 0),
        heads: state.heads,
        theme,
        thumbnails:
          lines && pictures
            ? { values: pictures.values, size: lines.thumbnails.shape[1] ?? 0 }
            : null,
      });
      note.textContent = lines?.row_sums_note ?? "";
    },
  };
}
