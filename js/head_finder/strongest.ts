/** The heads that have most of the metric, as a table for those who do not see the picture. */

import { fill, h } from "../shared/dom";
import type { Head, Metric } from "./data";
import { intervalWords, written } from "./words";

const MOST = 12;

export interface Strongest {
  readonly element: HTMLElement;
  update(metric: Metric | null, shown: readonly Head[]): void;
}

export function strongestTable(): Strongest {
  const caption = h("caption");
  const rows = h("tbody");
  const named = (name: string): HTMLElement => h("th", { attrs: { scope: "col" } }, name);
  const heading = h("tr");
  const element = h(
    "table",
    { class: "hf-strongest", data: { "in-picture": "no" } },
    caption,
    h("thead", {}, heading),
    rows,
  );
  return {
    element,
    update(metric, shown) {
      element.hidden = metric === null;
      if (!metric) return;
      caption.textContent = `Heads with the highest ${metric.label.toLowerCase()} (${metric.unit})`;
      const known = shown.filter((head) => Number.isFinite(metric.of(head)));
      const first = known.sort((a, b) => metric.of(b) - metric.of(a)).slice(0, MOST);
      const several = first.some(metric.interval);
      fill(heading, ...["Layer", "Head", "Value", ...(several ? ["Interval"] : [])].map(named));
      const cells = (head: Head): HTMLElement[] => {
        const value = written(metric, metric.of(head));
        const between = several ? [intervalWords(metric, head)] : [];
        return [head.layer, head.head, value, ...between].map((text) => h("td", {}, text));
      };
      fill(rows, ...first.map((head) => h("tr", {}, ...cells(head))));
    },
  };
}
