/** The header of AttributionStrip: the method and its settings, what is explained by, how it is shown. */

import { type Choice, dropdown, segmented, UNITS } from "../shared/controls";
import { type Host, isFixed } from "../shared/host/host";
import type { Shell } from "../shared/shell";
import type { Unit } from "../shared/state";
import type { AttributionState, How, Method, Quantity, Show } from "./state";

export interface Header {
  update(state: Readonly<AttributionState>): void;
}

const METHODS: readonly Choice<Method>[] = [
  {
    value: "gradient_x_input",
    label: "Gradient × input",
    title: "The slope at the text itself: one backward pass",
  },
  {
    value: "integrated_gradients",
    label: "Integrated gradients",
    title: "Slopes added up from a baseline to the text: as many passes as steps",
  },
];
const SHOWS: readonly Choice<Show>[] = [
  { value: "strip", label: "Text", title: "The text, coloured by what counted for one token" },
  { value: "matrix", label: "Matrix", title: "Every predicted token by every token that was read" },
];
const QUANTITIES: readonly Choice<Quantity>[] = [
  { value: "log_probability", label: "log-probability" },
  { value: "logit", label: "logit" },
];
const BASELINES: readonly Choice<How["baseline"]>[] = [
  { value: "zero", label: "zero", title: "Embeddings of zeros" },
  { value: "pad", label: "padding", title: "The embedding of the padding token" },
];
const STEPS = [20, 50, 100, 200, 500];

export function createHeader({ controls }: Shell, host: Host<AttributionState>): Header {
  const method = segmented<Method>("Method", "method", (value) => host.set({ method: value }));
  const steps = dropdown<string>("Steps", "steps", (value) => host.set({ steps: Number(value) }));
  const baseline = dropdown<How["baseline"]>("From", "baseline", (value) =>
    host.set({ baseline: value }),
  );
  const quantity = dropdown<Quantity>("Of its", "quantity", (value) =>
    host.set({ quantity: value }),
  );
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const show = segmented<Show>("Shown as", "show", (value) => host.set({ show: value }));
  const all = [method, steps, baseline, quantity, unit, show];
  controls.append(...all.map(({ element }) => element));
  return {
    update(state) {
      // A saved page has these numbers and no others.
      const alone = host.can?.("attribution") === false;
      const off = (name: keyof AttributionState & string): boolean => alone || isFixed(host, name);
      const integrates = state.method === "integrated_gradients";
      method.update({ choices: METHODS, value: state.method, disabled: off("method") });
      steps.element.hidden = baseline.element.hidden = !integrates;
      steps.update({
        ...{ choices: stepChoices(state.steps), value: String(state.steps) },
        disabled: off("steps"),
      });
      baseline.update({ choices: BASELINES, value: state.baseline, disabled: off("baseline") });
      // The difference of two logits is that of their log-probabilities, too.
      const compares = state.against !== null && state.show === "strip";
      quantity.update({
        choices: QUANTITIES,
        value: compares ? "logit" : state.quantity,
        disabled: compares || off("quantity"),
      });
      unit.update({ choices: UNITS, value: state.unit, disabled: isFixed(host, "unit") });
      show.update({ choices: SHOWS, value: state.show, disabled: off("show") });
    },
  };
}

/** Usual numbers, and the one that is asked for. */
function stepChoices(steps: number): Choice<string>[] {
  const all = [...new Set([...STEPS, steps])].sort((a, b) => a - b);
  return all.map((one) => ({
    value: String(one),
    label: String(one),
    title: "Places on the way from the baseline to the text",
  }));
}
