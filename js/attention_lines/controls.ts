/** The header of AttentionLines: what all maps have, which lines are drawn; and the legend. */

import { unpack } from "../shared/arrays";
import { type Choice, dropdown } from "../shared/controls";
import { button, h, hide, mark, say } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { type HeadPictures, mapHeader } from "../shared/map/header";
import { formatWeight, percent } from "../shared/numbers";
import type { Theme } from "../shared/palette";
import { toolbar } from "../shared/roving";
import type { Shell } from "../shared/shell";
import { slider } from "../shared/slider";
import { hasFrame } from "../shared/state";
import { type Fan, strongestLine } from "./fan";
import { hasGutter, type Lines, type Shown } from "./lines";
import { type LinesFrame, type LinesState, type Sentences, TOP_K } from "./state";
import { headsWords, sentencesWords, thresholdWords } from "./words";

export interface Header {
  /** Head tiles and rule: what the picture shows of the layer; belongs above it. */
  readonly filters: HTMLElement;
  update(state: Readonly<LinesState>, theme: Theme, lines: Lines | null, shown: Shown | null): void;
  /** The weight that a full line stands for. */
  setScale(lines: Lines | null, fans: readonly Fan[]): void;
}

/** How many lines of each token: the slider's stops; the last is "all". */
const STOPS: readonly (number | null)[] = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, null];

/** Of a sentence pair; the title is for those who want to know what A and B are. */
const SENTENCES: readonly Choice<Sentences>[] = [
  { value: "all", label: "all", title: "Lines of both sentences to both" },
  ...(["AA", "BB", "AB", "BA"] as const).map((value) => ({
    value,
    label: [...value].join(" → "),
    title: `Only lines ${sentencesWords(value)}`,
  })),
];

/** The stop for a number that may lie between two. */
export function stopOf(topK: number | null): number {
  if (topK === null) return STOPS.length - 1;
  const after = STOPS.findIndex((stop) => stop !== null && stop >= topK);
  return after < 0 ? STOPS.length - 2 : after;
}

export function createHeader(shell: Shell, host: Host<LinesState>): Header {
  const map = mapHeader(host);
  shell.controls.append(...map.elements);
  const rule = createRule(host);
  const turn = button(
    "gh-button",
    () =>
      host.set({ orientation: host.state.orientation === "vertical" ? "horizontal" : "vertical" }),
    {
      attrs: { title: "Tokens in two rows, for short texts; else in two columns" },
      data: { action: "orientation" },
    },
    "Rows",
  );
  const ways = h("div", { class: "al-ways" }, ...rule.ways, turn);
  toolbar(ways, "Which lines, and how they lie");
  const legend = createLegend(shell);
  const pictures = headPictures();
  return {
    filters: h(
      "div",
      { class: "al-filters" },
      map.heads,
      h("div", { class: "al-rule" }, ...rule.elements, ways),
    ),
    setScale: legend.setScale,
    update(state, theme, lines, shown) {
      const frame = hasFrame(state.frame) ? state.frame : null;
      map.update(state, theme, frame && pictures(frame));
      rule.update(state, shown);
      mark(turn, "aria-pressed", String(state.orientation === "horizontal"));
      legend.update(lines);
    },
  };
}

/** The two ways to say which lines are drawn, what they carry, and the way back to the default. */
function createRule(host: Host<LinesState>) {
  const topK = slider(
    "Lines per token",
    "top-k",
    { min: 0, max: STOPS.length - 1, step: 1 },
    (at) => host.set({ top_k: STOPS[at] ?? null, blank: false }),
  );
  const threshold = slider("Weights ≥", "threshold", { min: 0, max: 1, step: 0.01 }, (value) =>
    host.set({ threshold: value === 0 ? null : value, blank: false }),
  );
  const sentences = dropdown<Sentences>("Sentences", "sentences", (value) =>
    host.set({ sentences: value }),
  );
  const caption = topK.element.querySelector(".gh-caption");
  // A saved picture says it in its line of words.
  const shows = h("output", { class: "gh-number al-shows", data: { "in-picture": "no" } });
  const auto = button(
    "gh-button",
    () => host.set({ top_k: TOP_K, threshold: null, blank: false }),
    {
      attrs: {
        title: `Back to the ${TOP_K} strongest lines of each`,
      },
      data: { action: "auto" },
    },
    "Auto",
  );
  const blank = button(
    "gh-button",
    () => host.set({ blank: !host.state.blank }),
    {
      attrs: { title: "No lines but those of what is pointed at or pinned" },
      data: { action: "blank" },
    },
    "All off",
  );
  return {
    elements: [sentences.element, topK.element, threshold.element, shows],
    ways: [auto, blank],
    update(state: Readonly<LinesState>, shown: Shown | null): void {
      const { top_k, threshold: least, axes } = state;
      hide(sentences.element, !isPair(axes));
      sentences.update({ choices: SENTENCES, value: state.sentences ?? "all" });
      if (caption) say(caption, `Lines per ${state.unit}`);
      topK.update({ value: stopOf(top_k), text: top_k === null ? "all" : String(top_k) });
      threshold.update({ value: least ?? 0, text: least === null ? "any" : thresholdWords(least) });
      const mass = state.blank ? "none shown" : shown ? `shows ${percent(shown.mass)}` : "";
      say(shows, mass);
      const isAuto = top_k === TOP_K && least === null && !state.blank;
      mark(auto, "aria-pressed", String(isAuto));
      mark(blank, "aria-pressed", String(state.blank));
    },
  };
}

/** Whether rows and columns are of a sentence pair. */
function isPair(axes: Readonly<LinesState>["axes"]): boolean {
  return "kind" in axes && [axes.query, axes.key].every(({ segments }) => segments?.includes(1));
}

function createLegend(shell: Shell) {
  const what = h("span");
  const top = h("span", {}, "1");
  const gutter = h(
    "span",
    { class: "gh-scale" },
    h("span", { class: "al-bar", aria: { hidden: true } }),
    "to sinks, 0 … 1",
  );
  const note = h("span");
  shell.legend.append(
    what,
    h("span", { class: "gh-scale" }, "weight 0", h("span", { class: "al-opacity" }), top),
    gutter,
    note,
  );
  return {
    update(lines: Lines | null): void {
      if (!lines) return;
      const each = lines.frame.key.aggregate === "separate" && lines.heads.length > 1;
      say(what, each ? "colour = head" : headsWords(lines));
      // Keeps its room: the legend is as high with sinks as without.
      gutter.style.visibility = hasGutter(lines) ? "" : "hidden";
      say(note, lines.frame.row_sums_note);
    },
    setScale(lines: Lines | null, fans: readonly Fan[]): void {
      if (!lines) return;
      const [fan] = fans;
      const end = formatWeight(lines.frame.scale);
      const full = end === "1" || end.startsWith(">") ? end : `≥ ${end}`;
      const own = fan ? formatWeight(strongestLine(fan)) : full;
      say(top, fans.length > 1 ? "each token’s strongest" : own);
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
