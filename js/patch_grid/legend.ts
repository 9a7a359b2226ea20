/** The legend: an axis of recovered shares, with what the two runs say at 0 and 1, and the cell's place. */

import { fill, h, hide, style, svg } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import type { PatchData } from "./data";
import { valueWords } from "./words";

/** Where the end of the axis has a number of its own, beside the 1. */
const CLEAR_OF_ONE = 1.25;

export interface Legend {
  show(data: PatchData, table: Uint8ClampedArray): void;
  /** Marks a share on the axis; NaN or null = none. */
  point(data: PatchData, share: number | null): void;
}

export function createLegend(place: HTMLElement): Legend {
  const triangle = svg("svg", { width: 10, height: 7 }, svg("path", { d: "M0 0H10L5 7Z" }));
  const hidden = { attrs: { hidden: true }, aria: { hidden: true } };
  const marker = h("i", { class: "pg-marker", ...hidden }, triangle);
  const ramp = h("div", { class: "gh-ramp pg-ramp" });
  const ticks = h("div", { class: "pg-ticks" });
  const axis = h("div", { class: "pg-scale" }, marker, ramp, ticks);
  place.append(h("span", {}, "recovered"), axis);
  const at = ({ bound }: PatchData, share: number): number =>
    50 + 50 * Math.max(-1, Math.min(1, share / bound));
  const tick = (data: PatchData, share: 0 | 1, value: number): HTMLElement => {
    const run = share ? "clean" : "corrupted";
    return h(
      "span",
      { class: `pg-tick is-${run}`, style: { left: `${at(data, share)}%` } },
      h("i", {}),
      h("b", {}, share),
      h("span", {}, `${run} ${valueWords(data.frame, value)}`),
    );
  };
  return {
    show(data, table) {
      const { frame, bound, isClipped } = data;
      ramp.style.background = gradientCss(table);
      const end = (sign: "−" | ""): string => {
        const beyond = isClipped ? (sign ? "≤ " : "≥ ") : "";
        return `${beyond}${sign}${Number(bound.toFixed(2))}`;
      };
      fill(
        ticks,
        h("span", { class: "pg-end is-low" }, end("−")),
        tick(data, 0, frame.f_corrupted),
        tick(data, 1, frame.f_clean),
        bound > CLEAR_OF_ONE && h("span", { class: "pg-end is-high" }, end("")),
      );
    },
    point(data, share) {
      const isThere = share !== null && Number.isFinite(share);
      hide(marker, !isThere);
      if (isThere) style(marker, "left", `${at(data, share)}%`);
    },
  };
}
