/** The legend: how numbers are coloured, what is ringed, and what a pixel stands for. */

import { fill, h } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import { MASSIVE } from "./drawing";
import type { Drawn } from "./figure";
import { shortly } from "./numbers";
import type { ActivationsFrame } from "./state";
import { beyondWords, pooledWords } from "./words";

export interface Legend {
  show(frame: ActivationsFrame, drawn: Drawn): void;
}

export function createLegend(place: HTMLElement): Legend {
  const words = h("div", { class: "am-legend" });
  place.append(words);
  let shown = "";
  return {
    show(frame, { paint, grid, hasMassive }) {
      const pooled = pooledWords(grid);
      const name = [frame.bound, frame.beyond, hasMassive, pooled, paint.table.slice(0, 3)].join();
      if (name === shown) return;
      shown = name;
      const bar = h("span", { class: "gh-ramp" });
      bar.style.background = gradientCss(paint.table);
      const clipped = frame.beyond > 0;
      const end = (sign: "≤ −" | "≥ "): HTMLElement => {
        const number = shortly(frame.bound);
        return h("span", { class: "gh-number" }, clipped ? sign + number : sign.slice(2) + number);
      };
      const far = shortly(MASSIVE * frame.bound);
      fill(
        words,
        h("span", { class: "gh-scale" }, "activation", end("≤ −"), bar, end("≥ ")),
        clipped && h("span", {}, beyondWords(frame)),
        hasMassive &&
          h("span", { class: "gh-scale" }, h("i", { class: "am-ring" }), `${far} or more in size`),
        pooled && h("span", {}, pooled),
      );
    },
  };
}
