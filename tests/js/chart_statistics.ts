/** Statistics to choose from, and how their fields are filled in. */

import type { ChartState, MetricInfo, ParameterInfo } from "../../js/layer_stats_chart/state";
import { press } from "./fake_host";

export function parameter(more: Partial<ParameterInfo>): ParameterInfo {
  return {
    ...{ name: "bins", label: "Bins", kind: "int", optional: false, min: 2, max: 200 },
    ...{ choices: [], help: "" },
    ...more,
  };
}

export const BINS = parameter({});
export const PERMUTATIONS = parameter({
  ...{ name: "permutations", label: "Permutations", min: 1, max: 10_000 },
});
export const TRIM = parameter({
  ...{ name: "trim", label: "Trim", kind: "float", optional: true, min: 0, max: 0.5 },
});
export const TARGET = parameter({
  ...{ name: "target", label: "Token", kind: "text", min: null, max: null, help: "such as “ sea”" },
});
const ORDER = parameter({
  ...{ name: "order", label: "Norm", kind: "choice", min: null, max: null },
  choices: [
    { value: "l2", label: "L2" },
    { value: "l1", label: "L1" },
  ],
});

export const NORM: MetricInfo = {
  name: "norm",
  label: "Size of what blocks add",
  parameters: [ORDER],
  defaults: { order: "l2" },
};
export const DIVERGENCE: MetricInfo = {
  name: "prediction_divergence",
  label: "Right and wrong predictions",
  parameters: [BINS, TRIM],
  defaults: { bins: 30, trim: null },
};
/** Says nothing before a token is given. */
export const INFORMATION: MetricInfo = {
  name: "mutual_information",
  label: "Mutual information",
  parameters: [TARGET, BINS],
  defaults: { target: null, bins: 10 },
};

export function asked(info: MetricInfo, more: Partial<ChartState["metric"]> = {}) {
  return {
    name: info.name,
    label: info.label,
    parameters: { ...info.defaults },
    over: "",
    ...more,
  };
}

/** The field of a parameter: another element once the statistic has changed. */
export function fieldOf(el: ParentNode, name: string): HTMLInputElement {
  const field = el.querySelector<HTMLInputElement>(`[data-parameter="${name}"]`);
  if (!field) throw new Error(`no field for ${name}`);
  return field;
}

export function type(field: HTMLInputElement, text: string): void {
  field.focus();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

export function enter(field: HTMLInputElement, text: string): void {
  type(field, text);
  press(field, "Enter");
}
