/** The header of AttentionLines: what all maps have, and the threshold; and the legend. */

import { unpack } from "../shared/arrays";
import { h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { type HeadPictures, mapHeader } from "../shared/map/header";
import { formatWeight, percent } from "../shared/numbers";
import type { Theme } from "../shared/palette";
import type { Shell } from "../shared/shell";
import { slider } from "../shared/slider";
import { hasFrame } from "../shared/state";
import { type Fan, type Shown, strongestLine } from "./lines";
import type { LinesFrame, LinesState } from "./state";
import { thresholdWords } from "./words";

export interface Header {
  /** Head tiles and threshold: what the picture shows of the layer; belongs above it. */
  readonly filters: HTMLElement;
  update(state: Readonly<LinesState>, theme: Theme, shown: Shown | null): void;
  /** The weight that a full line stands for: 1, or the strongest line of the lit tokens. */
  setScale(fans: readonly Fan[]): void;
}

export function createHeader(shell: Shell, host: Host<LinesState>): Header {
  const map = mapHeader(host);
  const threshold = slider("Weights ≥", "threshold", { min: 0, max: 1, step: 0.01 }, (value) =>
    host.set({ threshold: value }),
  );
  shell.controls.append(...map.elements);
  const note = h("span");
  const top = h("span", {}, "1");
  shell.legend.append(
    h("span", {}, "colour = head"),
    h("span", { class: "gh-scale" }, "weight 0", h("span", { class: "al-opacity" }), top),
    note,
  );
  const pictures = headPictures();
  return {
    filters: h("div", { class: "al-filters" }, map.heads, threshold.element),
    setScale(fans) {
      const [fan] = fans;
      top.textContent =
        fans.length > 1 ? "each token’s strongest" : fan ? formatWeight(strongestLine(fan)) : "1";
    },
    update(state, theme, shown) {
      const lines = hasFrame(state.frame) ? state.frame : null;
      map.update(state, theme, lines && pictures(lines));
      const share = shown ? ` shows ${percent(shown.mass)}` : "";
      const value = state.threshold ?? lines?.automatic_threshold ?? 0;
      threshold.update({ value, text: `${thresholdWords(value)}${share}` });
      note.textContent = lines?.row_sums_note ?? "";
    },
  };
}

/** The pictures of the heads, unpacked once a frame. */
function headPictures(): (frame: LinesFrame) => HeadPictures {
  let of: LinesFrame["thumbnails"] | null = null;
  let values: ArrayLike<number> = [];
  return ({ thumbnails, n_heads }) => {
    if (of !== thumbnails) [of, values] = [thumbnails, unpack(thumbnails)];
    return { n: n_heads, values, size: thumbnails.shape[1] ?? 0 };
  };
}
