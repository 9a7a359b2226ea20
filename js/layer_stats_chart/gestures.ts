/** Pointer and keys of the chart, as what they mean: look at a layer, or go to it. */

import { handled, inField } from "../shared/keys";
import { headsOf, neighbour } from "../shared/scene";
import type { Shell } from "../shared/shell";
import type { Chart } from "./chart";
import type { ChartData } from "./data";
import { describeHead, layerTable, type Place, placeOf, type TokenLine } from "./readout";
import type { ChartState } from "./state";

export interface Actions {
  data(): ChartData | null;
  state(): Readonly<ChartState>;
  /** The token whose line is drawn. */
  token(): TokenLine | null;
  goTo(index: number, head: number | null): void;
}

export interface Gestures {
  /** What is known of the place under the pointer has changed. */
  refresh(): void;
  /** Handles a key press; keys common to all views come before. */
  key(event: KeyboardEvent): void;
}

export function createGestures(shell: Shell, chart: Chart, actions: Actions): Gestures {
  const { signal, tooltip } = shell;
  let pointed: Place | null = null;
  const refresh = (): void => {
    const data = actions.data();
    if (pointed && data) showTooltip(shell, chart, data, pointed, actions.token());
  };
  const point = (place: Place | null): void => {
    pointed = place;
    if (place) refresh();
    else tooltip.hide();
  };
  const { element } = chart;
  const on = (name: "pointerover" | "pointerleave" | "click", action: (event: Event) => void) =>
    element.addEventListener(name, action, { signal });
  on("pointerover", (event) => point(placeOf(event, actions.data())));
  on("pointerleave", () => point(null));
  on("click", (event) => {
    const place = placeOf(event, actions.data());
    if (place) actions.goTo(place.index, place.head);
  });
  return {
    refresh,
    key(event) {
      const data = actions.data();
      if (!data || inField(event)) return;
      // A long table scrolls by them.
      if (event.target instanceof Element && event.target.closest(".gh-panel-scroll")) return;
      const step = STEPS[event.key];
      // Up and down lead from head to head.
      if (!step || (step.heads && !chart.heat)) return;
      handled(event);
      const to = step.heads
        ? nextHead(data, actions.state(), step.heads)
        : nextLayer(data, actions.state(), chart, step.layers);
      if (to) actions.goTo(to.index, to.head);
    },
  };
}

const STEPS: Readonly<Record<string, { layers: number; heads: number }>> = {
  ArrowRight: { layers: 1, heads: 0 },
  ArrowLeft: { layers: -1, heads: 0 },
  ArrowDown: { layers: 0, heads: 1 },
  ArrowUp: { layers: 0, heads: -1 },
};

function nextHead(data: ChartData, state: Readonly<ChartState>, by: number): Place {
  const [only = -1] = state.heads.length === 1 ? state.heads : [];
  const head = Math.min(headsOf(state) - 1, Math.max(0, only + by));
  return { index: data.layers.indexOf(state.layer), head };
}

function nextLayer(
  { layers }: ChartData,
  state: Readonly<ChartState>,
  chart: Chart,
  by: number,
): Place | null {
  const open = layers.filter((layer) => chart.drawn?.open.has(layer));
  const next = neighbour(open, state.layer, by);
  if (next === null) return null;
  const one = chart.heat && state.heads.length === 1 ? (state.heads[0] ?? null) : null;
  return { index: layers.indexOf(next), head: one };
}

/** Beside the column, on the side with more room, so that it hides no part of it. */
function showTooltip(
  { tooltip }: Shell,
  chart: Chart,
  data: ChartData,
  { index, head }: Place,
  token: TokenLine | null,
): void {
  const of = chart.drawn;
  if (!of) return;
  const open = of.open.has(data.layers[index] ?? -1);
  const content =
    head === null && chart.lines
      ? layerTable(data, index, token, { colours: chart.lines.colours, open })
      : [describeHead(data, index, head ?? 0)];
  const { top: first, bottom, step, x: place } = of.layout;
  const box = chart.element.getBoundingClientRect();
  const x = box.left + place(index);
  const row = head === null ? 0 : (head * (bottom - first)) / (data.heat?.nHeads || 1);
  const top = box.top + first + row;
  tooltip.show({ left: x, right: x, top, bottom: top }, content);
  const away = Math.min(40, step / 2) + tooltip.element.offsetWidth / 2 + 6;
  const side = index < data.layers.length / 2 ? x + away : x - away;
  tooltip.show({ left: side, right: side, top, bottom: top }, content);
}
