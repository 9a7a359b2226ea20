/** What stands in the header, and above the heads: what is drawn, of which, in which order. */

import { type Choice, dropdown, kindChoices, segmented, UNITS } from "../shared/controls";
import { h } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { slider } from "../shared/slider";
import type { Kind, Unit } from "../shared/state";
import { type FinderData, type Metric, metricNamed } from "./data";
import { numbersText, readNumbers } from "./number_list";
import type { FinderState, Mode, Sort } from "./state";
import { written } from "./words";

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
  const metric = dropdown<string>("Metric", "metric", (name) =>
    // Limits are of the metric that they were set for.
    host.set({ metric: name, at_least: null, at_most: null }),
  );
  const second = dropdown<string>("against", "second-metric", (name) =>
    host.set({ second_metric: name }),
  );
  const limits = metricLimits(host);
  const numbers = [numbersField(host, "layers"), numbersField(host, "heads")];
  const bar = h(
    "div",
    { class: "hf-bar-row" },
    ...[metric.element, second.element, sort.element, ...limits.elements],
    ...numbers.map((field) => field.element),
  );
  return {
    // An explorer has the others in its own header, once for all its panes.
    header: host.pane ? [mode.element] : [mode.element, kind.element, unit.element],
    bar,
    update(data) {
      const { state } = host;
      mode.update({ choices: MODES, value: state.mode });
      const off = (name: "kind" | "unit"): boolean => isFixed(host, name);
      kind.update({ choices: kindChoices(state.scene), value: state.kind, disabled: off("kind") });
      const units = state.mode === "patterns" ? UNITS : [];
      unit.update({ choices: units, value: state.unit, disabled: off("unit") });
      sort.update({ choices: state.mode === "scatter" ? [] : SORTS, value: state.sort });
      bar.hidden = data === null;
      if (!data) return;
      metric.update({ choices: choicesOf(data.metrics), value: state.metric });
      second.update({ choices: choicesOf(data.metrics), value: state.second_metric });
      second.element.hidden = state.mode !== "scatter";
      limits.update(metricNamed(data, state.metric));
      for (const field of numbers) field.update(data);
    },
  };
}

function choicesOf(metrics: readonly Metric[]): Choice<string>[] {
  return metrics.map(({ name, label, unit }) => ({ value: name, label, title: unit }));
}

/** From … to …: at its end a slider sets no limit. */
function metricLimits(host: Host<FinderState>) {
  let metric: Metric | null = null;
  const limits = { min: 0, max: STOPS, step: 1 };
  const valueAt = (stop: number): number => {
    const { low, high } = metric ?? { low: 0, high: 0 };
    return Number((low + ((high - low) * stop) / STOPS).toPrecision(3));
  };
  const least = slider("from", "at-least", limits, (stop) =>
    host.set({ at_least: stop === 0 ? null : valueAt(stop) }),
  );
  const most = slider("to", "at-most", limits, (stop) =>
    host.set({ at_most: stop === STOPS ? null : valueAt(stop) }),
  );
  return {
    elements: [least.element, most.element],
    update(of: Metric | null) {
      metric = of;
      const { at_least, at_most } = host.state;
      const none = of === null || of.note !== "" || of.high === of.low;
      least.input.disabled = most.input.disabled = none;
      if (!of) return;
      const stop = (value: number): number =>
        Math.round((STOPS * (value - of.low)) / (of.high - of.low || 1));
      const text = (value: number | null, end: number): string => written(of, value ?? end);
      least.update({ value: at_least === null ? 0 : stop(at_least), text: text(at_least, of.low) });
      most.update({
        value: at_most === null ? STOPS : stop(at_most),
        text: text(at_most, of.high),
      });
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
