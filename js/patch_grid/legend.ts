/** The legend: an axis of recovered shares, with what the two runs say at 0 and 1, and the cell's place. */

import { fill, h, hide, style } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import type { PatchData } from "./data";
import { formatShare, formatValue } from "./numbers";

export interface Legend {
  show(data: PatchData, table: Uint8ClampedArray): void;
  /** Marks a share on the axis; NaN or null = none. */
  point(data: PatchData, share: number | null): void;
}

export function createLegend(place: HTMLElement): Legend {
  const marker = h("i", { class: "pg-marker", attrs: { hidden: true }, aria: { hidden: true } });
  const ramp = h("div", { class: "gh-ramp pg-ramp" });
  const ticks = h("div", { class: "pg-ticks" });
  const words = h("span", { class: "pg-legend-words" });
  const axis = h("div", { class: "pg-scale" }, marker, ramp, ticks);
  place.append(h("span", {}, "recovered"), axis, words);
  const at = ({ bound }: PatchData, share: number): number =>
    50 + 50 * Math.max(-1, Math.min(1, share / bound));
  const tick = (data: PatchData, share: number, what: string, value: number): HTMLElement =>
    h(
      "span",
      { class: "pg-tick", style: { left: `${at(data, share)}%` } },
      h("b", {}, formatShare(share)),
      h("span", {}, `${what} ${formatValue(value)}`),
    );
  return {
    show(data, table) {
      const { frame, bound, isClipped } = data;
      ramp.style.background = gradientCss(table);
      const end = (sign: "−" | ""): string => {
        const beyond = isClipped ? (sign ? "≤ " : "≥ ") : "";
        return `${beyond}${sign}${formatShare(bound)}`;
      };
      fill(
        ticks,
        h("span", { class: "pg-end is-low" }, end("−")),
        tick(data, 0, "corrupted", frame.f_corrupted),
        tick(data, 1, "clean", frame.f_clean),
        bound > 1.02 && h("span", { class: "pg-end is-high" }, end("")),
      );
      fill(words, frame.unit);
    },
    point(data, share) {
      const isThere = share !== null && Number.isFinite(share);
      hide(marker, !isThere);
      if (isThere) style(marker, "left", `${at(data, share)}%`);
    },
  };
}
