/** One head beside all of them: large, with its numbers. */

import { type Child, fill, h } from "../shared/dom";
import { formatWeight } from "../shared/numbers";
import { drawnAs } from "../shared/save/recorder";
import type { FinderData, Head, Metric } from "./data";
import { rankOf } from "./data";
import { type Atlas, drawPattern, type Large, paintLarge } from "./painting";
import { capital, headName, rankWords, written } from "./words";

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
      title.textContent = capital(headName(head));
      why.textContent = reason;
      // A fixed width: heights follow from the map.
      canvas.style.aspectRatio = `${data.frame.columns} / ${data.frame.rows}`;
      if (large) paintLarge(canvas, large, atlas);
      else paintSmall(canvas, atlas, head);
      scale.textContent = `Row looks at column; in full at ${formatWeight(data.scale(head))}.`;
      fill(numbers, ...numberNodes(data, head, metrics));
    },
  };
}

function paintSmall(canvas: HTMLCanvasElement, atlas: Atlas, head: Head): void {
  const { width, height } = atlas.data;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context) drawPattern(context, atlas, head, 0, 0, width, height);
}

function numberNodes(data: FinderData, head: Head, drawn: readonly Metric[]): Child[] {
  const metrics = data.metrics.flatMap((metric) => {
    const value = metric.of(head);
    const known = Number.isFinite(value);
    const rank = rankOf(data, metric, head);
    const place = rank === null ? "" : rankWords(rank);
    const bar = { width: `${known ? (100 * Math.abs(value)) / metric.top : 0}%` };
    const below = value < 0 ? "is-below" : "";
    const unit = metric.unit && !metric.unit.startsWith("weight") ? ` ${metric.unit}` : "";
    const name = drawn.includes(metric) ? "hf-metric is-drawn" : "hf-metric";
    return [
      h("dt", { class: name, attrs: { title: metric.unit } }, metric.label),
      h(
        "dd",
        { attrs: { title: place }, data: { metric: metric.name } },
        h(
          "span",
          { class: "hf-bar", aria: { hidden: true } },
          h("i", { class: below, style: bar }),
        ),
        h("span", { class: "hf-value" }, written(metric, value), known ? unit : ""),
      ),
    ];
  });
  const share = data.toSinks(head);
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
