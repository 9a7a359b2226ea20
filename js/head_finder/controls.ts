/** What stands in the header, and above the heads: what is drawn, of which, in which order. */

import { type Choice, dropdown, kindChoices, segmented, UNITS } from "../shared/controls";
import { h, hide, say } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { slider } from "../shared/slider";
import type { Kind, Unit } from "../shared/state";
import { type FinderData, type Metric, metricNamed, range } from "./data";
import { numbersText, readNumbers } from "./number_list";
import type { End, FinderState, Mode, Sort } from "./state";
import { modeOf, written } from "./words";

const MODES: readonly { value: Mode; label: string }[] = [
  { value: "patterns", label: "Patterns" },
  { value: "metric", label: "Metric" },
  { value: "scatter", label: "Scatter" },
];
const SORTS: readonly { value: Sort; label: string }[] = [
  { value: "layer", label: "By layer" },
  { value: "highest", label: "Highest" },
  { value: "lowest", label: "Lowest" },
];
const ENDS: readonly Choice<End>[] = [
  { value: "mean", label: "mean", title: "Sorts and filters by the mean over the texts" },
  { value: "low", label: "low end", title: "Sorts and filters by the low end of the interval" },
  { value: "high", label: "high end", title: "Sorts and filters by the high end of the interval" },
];
/** Stops of a slider between the smallest and the largest value. */
const STOPS = 100;

export interface Controls {
  readonly header: readonly HTMLElement[];
  readonly bar: HTMLElement;
  update(data: FinderData | null): void;
}

export function finderControls(host: Host<FinderState>): Controls {
  const mode = segmented<Mode>("What is drawn", "mode", (value) => host.set({ mode: value }));
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const sort = segmented<Sort>("Order", "sort", (value) => host.set({ sort: value }));
  const by = dropdown<End>("by", "by", (value) => host.set({ by: value }));
  // Limits are of the number that they were set for.
  const metric = dropdown<string>("Metric", "metric", (name) =>
    host.set({ metric: name, at_least: null, at_most: null }),
  );
  const second = dropdown<string>("against", "second-metric", (name) =>
    host.set({ second_metric: name }),
  );
  const corpus = h("span", { class: "hf-corpus" });
  const limits = metricLimits(host);
  const numbers = [numbersField(host, "layers"), numbersField(host, "heads")];
  const bar = h(
    "div",
    { class: "hf-bar-row" },
    ...[metric.element, second.element, sort.element, by.element],
    h("div", { class: "hf-limits" }, ...limits.elements),
    ...numbers.map((field) => field.element),
  );
  return {
    // An explorer has the others in its own header, once for all its panes.
    header: [corpus, mode.element, ...(host.pane ? [] : [kind.element, unit.element])],
    bar,
    update(data) {
      const { state } = host;
      const modes = MODES.filter(({ value }) => value !== "patterns" || data?.drawn !== false);
      mode.update({ choices: modes, value: data ? modeOf(data, state) : state.mode });
      const of = data?.frame.corpus;
      say(corpus, of?.words ?? "");
      hide(corpus, !of);
      const off = (name: "kind" | "unit"): boolean => isFixed(host, name);
      kind.update({ choices: kindChoices(state.scene), value: state.kind, disabled: off("kind") });
      const units = state.mode === "patterns" && data?.drawn !== false ? UNITS : [];
      unit.update({ choices: units, value: state.unit, disabled: off("unit") });
      sort.update({ choices: state.mode === "scatter" ? [] : SORTS, value: state.sort });
      by.update({ choices: ENDS, value: state.by });
      hide(by.element, !of);
      bar.hidden = data === null;
      if (!data) return;
      metric.update({ choices: choicesOf(data.metrics), value: state.metric });
      second.update({ choices: choicesOf(data.metrics), value: state.second_metric });
      second.element.hidden = state.mode !== "scatter";
      limits.update(data);
      for (const field of numbers) field.update(data);
    },
  };
}

function choicesOf(metrics: readonly Metric[]): Choice<string>[] {
  return metrics.map(({ name, label, unit }) => ({ value: name, label, title: unit }));
}

/** From … to …: at its end a slider sets no limit. */
function metricLimits(host: Host<FinderState>) {
  let [low, high] = [0, 0];
  const limits = { min: 0, max: STOPS, step: 1 };
  const valueAt = (stop: number): number =>
    Number((low + ((high - low) * stop) / STOPS).toPrecision(3));
  const least = slider("from", "at-least", limits, (stop) =>
    host.set({ at_least: stop === 0 ? null : valueAt(stop) }),
  );
  const most = slider("to", "at-most", limits, (stop) =>
    host.set({ at_most: stop === STOPS ? null : valueAt(stop) }),
  );
  return {
    elements: [least.element, most.element],
    update(data: FinderData) {
      const { at_least, at_most, by, metric } = host.state;
      const of = metricNamed(data, metric);
      if (of) ({ low, high } = range(data.heads, (head) => of.by(by, head)));
      const none = of === null || of.note !== "" || high === low;
      least.input.disabled = most.input.disabled = none;
      if (!of) return;
      const stop = (value: number): number =>
        Math.round((STOPS * (value - low)) / (high - low || 1));
      const text = (value: number | null, end: number): string => written(of, value ?? end);
      least.update({ value: at_least === null ? 0 : stop(at_least), text: text(at_least, low) });
      most.update({ value: at_most === null ? STOPS : stop(at_most), text: text(at_most, high) });
    },
  };
}

/** "0-5, 12": which layers, or which heads, are shown. */
function numbersField(host: Host<FinderState>, of: "layers" | "heads") {
  const trait = of === "layers" ? "only_layers" : "only_heads";
  const name = of === "layers" ? "Layers" : "Heads";
  let numbers: readonly number[] = [];
  const input = h("input", {
    class: "gh-input hf-numbers",
    attrs: {
      type: "text",
      placeholder: "all",
      size: 6,
      title: `${name} that are shown, such as 0-5, 12`,
    },
    data: { action: `only-${of}` },
    on: {
      change: () => {
        const read = readNumbers(input.value, numbers);
        input.classList.toggle("is-wrong", read === null);
        input.setAttribute("aria-invalid", String(read === null));
        if (read) host.set({ [trait]: read });
      },
    },
  });
  const element = h(
    "label",
    { class: "hf-field" },
    h("span", { class: "gh-caption" }, name),
    input,
  );
  return {
    element,
    update(data: FinderData) {
      numbers = of === "layers" ? data.layers : Array.from({ length: data.most }, (_, i) => i);
      const text = numbersText(host.state[trait]);
      // Not while somebody writes.
      if (!input.matches(":focus") || input.value === "") input.value = text;
    },
  };
}
