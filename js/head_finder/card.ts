/** One head beside all of them: large, with its numbers. */

import { type Child, fill, h } from "../shared/dom";
import { formatCount, formatWeight } from "../shared/numbers";
import { drawnAs } from "../shared/save/recorder";
import type { FinderData, Head, Metric } from "./data";
import { range, rankOf } from "./data";
import { type Atlas, drawPattern, type Large, paintLarge } from "./painting";
import { capital, headName, intervalWords, rankWords, written } from "./words";

export interface CardProps {
  readonly atlas: Atlas;
  readonly head: Head | null;
  /** Why it is this one, where nobody has picked it. */
  readonly why: string;
  /** As the kernel drew it, once it has come. */
  readonly large: Large | null;
  /** The metrics that are drawn now. */
  readonly metrics: readonly Metric[];
}

export interface Card {
  readonly element: HTMLElement;
  update(props: CardProps): void;
  /** There may be less room than it takes: keys can reach what is to be scrolled. */
  setScrolls(on: boolean): void;
}

export function headCard(): Card {
  const why = h("div", { class: "hf-card-why" });
  const title = h("div", { class: "hf-card-title" });
  const canvas = h("canvas", { class: "hf-card-picture", aria: { hidden: true } });
  // Saved larger than its pixels, which stay to be seen.
  drawnAs(canvas, (context) => {
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, canvas.clientWidth, canvas.clientHeight);
  });
  const scale = h("p", { class: "hf-card-scale" });
  const numbers = h("dl", { class: "hf-card-numbers" });
  const heading = h("div", { class: "hf-card-heading" }, title, why);
  const picture = h("div", { class: "hf-card-frame" }, canvas);
  const element = h(
    "aside",
    { class: "hf-card", attrs: { tabindex: 0 }, aria: { label: "Head" } },
    picture,
    h("div", { class: "hf-card-words" }, heading, numbers, scale),
  );
  return {
    element,
    setScrolls(on) {
      if (on) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    },
    update({ atlas, head, why: reason, large, metrics }) {
      element.classList.toggle("is-empty", head === null);
      if (!head) return;
      const { data } = atlas;
      element.dataset.head = `${head.layer}:${head.head}`;
      element.classList.toggle("is-corpus", data.frame.corpus !== undefined);
      picture.hidden = !data.drawn;
      title.textContent = capital(headName(head));
      why.textContent = reason;
      fill(numbers, ...numberNodes(data, head, metrics));
      scale.textContent = cardWords(data, head, metrics);
      if (!data.drawn) return;
      // A fixed width: heights follow from the map.
      canvas.style.aspectRatio = `${data.frame.columns} / ${data.frame.rows}`;
      if (large) paintLarge(canvas, large, atlas);
      else paintSmall(canvas, atlas, head);
    },
  };
}

/** What the picture is drawn by, and of how many texts the numbers are. */
function cardWords(data: FinderData, head: Head, drawn: readonly Metric[]): string {
  const { corpus } = data.frame;
  const counts = drawn.flatMap((metric) => {
    const found = metric.interval(head);
    if (!found || !corpus) return [];
    const texts = `${formatCount(found.texts)} of ${formatCount(corpus.texts)} texts`;
    return [`${metric.label}: mean over ${texts}.`];
  });
  const ticked = drawn.some((metric) => Number.isFinite(metric.here(head)));
  const picture = data.drawn && [
    ticked && "A tick is this text’s number.",
    corpus && "Picture: this text.",
    `Row looks at column; in full at ${formatWeight(data.scale(head))}.`,
  ];
  return [...counts, ...(picture || [])].filter(Boolean).join(" ");
}

function paintSmall(canvas: HTMLCanvasElement, atlas: Atlas, head: Head): void {
  const { width, height } = atlas.data;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context) drawPattern(context, atlas, head, 0, 0, width, height);
}

/** "Head entropy" of a head is its entropy. */
function shortLabel({ label }: Metric): string {
  return capital(label.replace(/^Head /, ""));
}

function bar(metric: Metric, value: number): HTMLElement {
  const width = `${Number.isFinite(value) ? (100 * Math.abs(value)) / metric.top : 0}%`;
  const below = value < 0 ? "is-below" : "";
  const inner = h("i", { class: below, style: { width } });
  return h("span", { class: "hf-bar", aria: { hidden: true } }, inner);
}

/** The mean with its interval on the scale of all heads; a tick where this text is. */
function whisker(data: FinderData, metric: Metric, head: Head): HTMLElement {
  const from = Math.min(0, range(data.heads, (one) => metric.by("low", one)).low);
  const to = range(data.heads, (one) => metric.by("high", one)).high;
  const at = (value: number): number =>
    Math.min(100, Math.max(0, (100 * (value - from)) / (to - from || 1)));
  const [low, high] = [at(metric.by("low", head)), at(metric.by("high", head))];
  const here = metric.here(head);
  return h(
    "span",
    { class: "hf-whisker", aria: { hidden: true } },
    h("i", { class: "hf-whisker-part hf-track" }),
    h("i", {
      class: "hf-whisker-part hf-range",
      style: { left: `${low}%`, width: `${high - low}%` },
    }),
    Number.isFinite(here) &&
      h("i", { class: "hf-whisker-part hf-here", style: { left: `${at(here)}%` } }),
    h("i", { class: "hf-whisker-part hf-mean", style: { left: `${at(metric.of(head))}%` } }),
  );
}

function numberNodes(data: FinderData, head: Head, drawn: readonly Metric[]): Child[] {
  const metrics = data.metrics.flatMap((metric) => {
    const value = metric.of(head);
    const known = Number.isFinite(value);
    const rank = rankOf(data, metric, head);
    const place = rank === null ? "" : rankWords(rank);
    const { corpus } = data.frame;
    const unit = metric.unit && !metric.unit.startsWith("weight") ? metric.unit : "";
    // Beside an interval there is no room for it.
    const label = corpus && unit ? `${shortLabel(metric)}, ${unit}` : metric.label;
    const name = drawn.includes(metric) ? "hf-metric is-drawn" : "hf-metric";
    return [
      h("dt", { class: name, attrs: { title: metric.unit } }, label),
      h(
        "dd",
        { attrs: { title: place }, data: { metric: metric.name } },
        metric.interval(head) ? whisker(data, metric, head) : bar(metric, value),
        h(
          "span",
          { class: "hf-value" },
          written(metric, value),
          known && !corpus && unit && ` ${unit}`,
        ),
        corpus && h("span", { class: "hf-between" }, intervalWords(metric, head)),
      ),
    ];
  });
  const share = data.toSinks(head);
  if (Number.isNaN(share)) return metrics;
  return [
    ...metrics,
    h("dt", { class: "hf-metric", attrs: { title: data.frame.sinks_words } }, "To sinks"),
    h(
      "dd",
      { data: { metric: "to-sinks" } },
      h(
        "span",
        { class: "hf-bar is-sink", aria: { hidden: true } },
        h("i", { style: { width: `${100 * share}%` } }),
      ),
      h("span", { class: "hf-value" }, formatWeight(share)),
    ),
  ];
}
