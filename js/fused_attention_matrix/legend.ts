/** The legend: how numbers are coloured, with the controls of just that, and what is hatched. */

import { type Choice, segmented } from "../shared/controls";
import { type Child, fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { endOf, formatWeight, percent } from "../shared/numbers";
import { gradientCss } from "../shared/palette";
import { DECADES } from "./colour";
import type { Drawn } from "./figure";
import { isHidden, type Matrix } from "./grid";
import { sideTitles } from "./readout";
import type { MatrixState, Scale } from "./state";
import { massName } from "./words";

const SCALES: readonly Choice<Scale>[] = [
  { value: "sqrt", label: "√", title: "Square-root colours: small weights can be told apart" },
  { value: "linear", label: "Linear" },
  { value: "log", label: "Log", title: `Logarithmic colours over ${DECADES} decades` },
];
const RANGES: readonly Choice<MatrixState["value_range"]>[] = [
  { value: "data", label: "In view", title: "Colours end at the largest in view" },
  { value: "fixed", label: "0–1", title: "Colours end at 1, so that pictures can be compared" },
];

export interface Legend {
  update(state: Readonly<MatrixState>): void;
  show(matrix: Matrix, drawn: Drawn): void;
}

export function createLegend(place: HTMLElement, host: Host<MatrixState>): Legend {
  const scale = segmented<Scale>("Colour scale", "scale", (value) => host.set({ scale: value }));
  const range = segmented<MatrixState["value_range"]>("Colours end", "value-range", (value) =>
    host.set({ value_range: value }),
  );
  const words = h("div", { class: "fm-legend" });
  place.append(scale.element, range.element, words);
  let shown = "";
  let of: Matrix | null = null;
  return {
    update(state) {
      scale.update({ choices: SCALES, value: state.scale });
      range.update({ choices: RANGES, value: state.value_range });
      // Scores have a scale of their own.
      scale.element.hidden = state.scores;
      range.element.hidden = state.scores;
    },
    show(matrix, drawn) {
      const { paint, clipped, pooledBy } = drawn;
      const ends = [
        paint.top,
        paint.scale,
        clipped,
        pooledBy,
        paint.table.slice(0, 3),
        paint.table[300],
      ];
      if (of === matrix && ends.join() === shown) return;
      of = matrix;
      shown = ends.join();
      fill(words, ramp(matrix, drawn), ...swatches(matrix), pooledBy > 1 && pooledWords(pooledBy));
    },
  };
}

function ramp(matrix: Matrix, drawn: Drawn): HTMLElement {
  const { paint, clipped } = drawn;
  const { top, scale, table, signed } = paint;
  const low = scale === "log" ? `≤ ${(top / 10 ** DECADES).toPrecision(2)}` : "0";
  const bar = h("span", { class: "gh-ramp" });
  bar.style.background = gradientCss(table);
  const end = clipped ? `≥ ${endOf(top)}` : formatWeight(top);
  const number = (words: string): HTMLElement => h("span", { class: "gh-number" }, words);
  const [one, other] = sideTitles(matrix);
  const [least, most] = clipped ? ["≤ ", "≥ "] : ["", ""];
  const scores = [
    "score before the softmax",
    number(`${least}−${endOf(top)}`),
    bar,
    number(`${most}+${endOf(top)}`),
  ];
  const parts: Child[] = matrix.scores
    ? scores
    : signed
      ? [
          `more in ${other}`,
          number(`−${endOf(top)}`),
          bar,
          number(`+${endOf(top)}`),
          `more in ${one}`,
        ]
      : ["weight", number(low), bar, number(end)];
  const decades =
    scale === "log" ? `log, ${DECADES} decades` : scale === "sqrt" ? "square root" : null;
  return h("span", { class: "gh-scale fm-ramp" }, ...parts, decades && h("span", {}, decades));
}

function swatches(matrix: Matrix): Child[] {
  const swatch = (kind: string, words: string, title = ""): HTMLElement =>
    h(
      "span",
      { class: "gh-scale", attrs: title ? { title } : {} },
      h("span", { class: `fm-swatch is-${kind}` }),
      words,
    );
  const { sinks } = matrix;
  const aside = `sinks set aside: ${percent(sinks.share)} of ${massName(matrix.frame)}`;
  return [
    matrix.scores
      ? hasMasked(matrix) && swatch("causal", "masked: no score (−∞)")
      : matrix.causal && swatch("causal", "masked: comes later"),
    Array.from(matrix.undefinedRows).some(Boolean) &&
      swatch("undefined", "row fully masked: undefined"),
    sinks.apart.length > 0 &&
      swatch(
        "sink",
        sinks.mode === "aside" ? aside : "sinks hidden, rows renormalised",
        `A sink is ${sinks.words}`,
      ),
  ];
}

function hasMasked({ causal, grid }: Matrix): boolean {
  return causal || Array.from(grid.values).some((value) => isHidden(grid, value));
}

function pooledWords(n: number): HTMLElement {
  return h("span", {}, `each pixel is the largest of ${n} × ${n} cells; zoom in for each`);
}
