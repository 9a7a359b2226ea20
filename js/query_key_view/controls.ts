/** What stands in the header: of which attention, which token looks, and in which order. */

import { kindChoices, layerStepper, segmented } from "../shared/controls";
import { button, disable, fill, h, hide, mark } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { labelText } from "../shared/map/axis";
import { headTiles } from "../shared/map/heads";
import type { Theme } from "../shared/palette";
import { headsOf, layerNumbers } from "../shared/scene";
import { type Axis, hasAxes, type Kind } from "../shared/state";
import type { QueryKeyState, Rows, Sort } from "./state";

const SORTS = [
  { value: "dimension", label: "By number", title: "Dimensions by their numbers" },
  {
    value: "largest",
    label: "Largest",
    title: "By the mean size of their products in the first head shown",
  },
] as const;
const ROWS = [
  { value: "text", label: "Text order", title: "Keys as in the text" },
  {
    value: "strongest",
    label: "Strongest",
    title: "By their scores in the first head shown",
  },
] as const;
/** Tokens on each side of the query that can be chosen from a list. */
const AROUND = 400;

export interface Controls {
  readonly header: readonly HTMLElement[];
  /** Over the picture: heads, and what goes by names of its own. */
  readonly bar: HTMLElement;
  update(theme: Theme): void;
}

export function queryKeyControls(host: Host<QueryKeyState>): Controls {
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const layer = layerStepper((value) => host.set({ layer: value }));
  const heads = headTiles((value) => host.set({ heads: value }));
  const query = queryStepper(host);
  const sort = segmented<Sort>("Dimensions", "sort", (value) => host.set({ sort: value }));
  const rows = segmented<Rows>("Keys", "rows", (value) => host.set({ rows: value }));
  const captioned = (caption: string, element: HTMLElement): HTMLElement =>
    h(
      "div",
      { class: "qk-choice", data: { "in-picture": "no" } },
      h("span", { class: "gh-caption" }, caption),
      element,
    );
  return {
    header: [kind.element, layer.element, query.element],
    bar: h(
      "div",
      { class: "qk-bar-row" },
      heads.element,
      captioned("Dimensions", sort.element),
      captioned("Keys", rows.element),
    ),
    update(theme) {
      const { state } = host;
      const off = (name: keyof QueryKeyState): boolean => isFixed(host, name);
      kind.update({ choices: kindChoices(state.scene), value: state.kind, disabled: off("kind") });
      layer.update({ layers: layerNumbers(state), layer: state.layer, disabled: off("layer") });
      heads.update({
        ...{ nHeads: headsOf(state), heads: state.heads, theme, coloured: true, thumbnails: null },
        disabled: off("heads"),
      });
      query.update(off("query"));
      sort.update({ choices: SORTS, value: state.sort });
      rows.update({ choices: ROWS, value: state.rows });
    },
  };
}

/** Query ‹ token › — steps through the tokens that look. */
function queryStepper(host: Host<QueryKeyState>) {
  let shown: { axis: Axis; first: number } | null = null;
  const axisOf = (): Axis | null => {
    const { axes } = host.state;
    return hasAxes(axes) ? axes.query : null;
  };
  const select = h("select", {
    class: "gh-layer qk-query",
    aria: { label: "Query token" },
    data: { action: "query" },
    on: { change: () => host.set({ query: Number(select.value) }) },
  });
  const step = (by: number, action: string, label: string, sign: string): HTMLButtonElement =>
    button(
      "gh-button gh-step",
      () => host.set({ query: host.state.query + by }),
      { data: { action }, aria: { label } },
      sign,
    );
  const previous = step(-1, "query-previous", "Previous query token", "‹");
  const next = step(1, "query-next", "Next query token", "›");
  const element = h(
    "div",
    { class: "gh-stepper", attrs: { role: "group" }, aria: { label: "Query token" } },
    h("span", { class: "gh-caption" }, "Query"),
    ...[previous, select, next],
  );
  return {
    element,
    update(off: boolean) {
      const axis = axisOf();
      hide(element, axis === null);
      if (!axis) return;
      const { query } = host.state;
      const { length } = axis.labels;
      // Of a long text those near it: a list of all would be made anew for nothing.
      const first = Math.max(0, AROUND * (Math.floor(query / AROUND) - 1));
      if (shown?.axis !== axis || shown.first !== first) {
        shown = { axis, first };
        const last = Math.min(length, first + 3 * AROUND);
        const positions = Array.from({ length: last - first }, (_, i) => first + i);
        fill(
          select,
          ...positions.map((i) =>
            h("option", { attrs: { value: i } }, `${i} · ${labelText(axis, i)}`),
          ),
        );
      }
      if (select.value !== String(query)) select.value = String(query);
      mark(select, "title", `Position ${query}: ${labelText(axis, query)}`);
      if (select.disabled !== off) select.disabled = off;
      disable(previous, off || query <= 0);
      disable(next, off || query >= length - 1);
    },
  };
}
