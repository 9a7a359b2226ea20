/** Which statistic is shown, and its parameters: native fields, sent when they are done with. */

import type { Control } from "../shared/controls";
import { type Child, fill, h } from "../shared/dom";
import type { MetricInfo, MetricState, ParameterInfo, Value } from "./state";

export interface SettingsProps {
  metrics: readonly MetricInfo[];
  metric: MetricState;
  /** Nothing else can be measured now. */
  disabled: boolean;
}

export interface Settings {
  readonly choice: HTMLElement;
  readonly fields: HTMLElement;
  /** What has to be said before the statistic that is chosen can be shown, in words; "" = nothing. */
  missing(): string;
  update(props: SettingsProps): void;
}

/** A choice of statistics, and the fields of the chosen one. */
export function settings(onChange: (metric: MetricState) => void, onDraft: () => void): Settings {
  let props: SettingsProps = { metrics: [], metric: NOTHING, disabled: false };
  // Chosen, but something has to be said first: nothing of it is sent yet.
  let draft: MetricState | null = null;
  const shown = (): SettingsProps => ({ ...props, metric: draft ?? props.metric });
  const take = (metric: MetricState): void => {
    draft = missing(props.metrics, metric) ? metric : null;
    if (!draft) props = { ...props, metric };
    refresh();
    onDraft();
    if (draft) fields.focus(missing(props.metrics, draft));
    else onChange(metric);
  };
  const choice = metricChoice(take);
  const fields = parameterFields(take);
  const refresh = (): void => {
    choice.update(shown());
    fields.update(shown());
  };
  return {
    choice: choice.element,
    fields: fields.element,
    missing() {
      const first = draft ? missing(props.metrics, draft) : "";
      return draft && first ? `${draft.label} needs “${first}”: fill it in and press Enter.` : "";
    },
    update(next) {
      // Somebody else has chosen meanwhile.
      if (next.metric.name !== props.metric.name) draft = null;
      props = next;
      refresh();
    },
  };
}

const NOTHING: MetricState = { name: "", label: "", parameters: {}, over: "" };

function metricChoice(onChoice: (metric: MetricState) => void): Control<SettingsProps> {
  let props: SettingsProps | null = null;
  const select = h("select", {
    class: "gh-select",
    aria: { label: "Statistic" },
    data: { action: "metric" },
    on: {
      change: () => {
        const info = props?.metrics.find(({ name }) => name === select.value);
        if (!info) return;
        const { name, label, defaults } = info;
        onChoice({ name, label, parameters: { ...defaults }, over: "" });
      },
    },
  });
  // A user's own metric is not in the catalogue; its name stays while the view lives.
  let own: string[] = [];
  let names = "";
  return {
    element: h(
      "label",
      { class: "gh-field" },
      h("span", { class: "gh-caption" }, "Statistic"),
      select,
    ),
    update(next) {
      const { metrics, metric } = next;
      const known = metrics.some(({ name }) => name === metric.name);
      if (metrics.length && !known) own = [metric.name, metric.label];
      const options = metrics.map(({ name, label }) => [name, label]);
      const all = own.length ? [own, ...options] : options;
      const next_ = all.map(([name, label]) => `${name}:${label}`).join();
      if (names !== next_) {
        names = next_;
        const option = ([name = "", label = ""]: string[]): Child =>
          h("option", { attrs: { value: name, disabled: name === own[0] } }, label);
        fill(select, ...all.map(option));
      }
      select.value = metric.name;
      select.disabled = next.disabled;
      props = next;
    },
  };
}

/** The label of a parameter that has to be given first; "" = none. */
export function missing(metrics: readonly MetricInfo[], metric: MetricState): string {
  const info = metrics.find(({ name }) => name === metric.name);
  const lacks = info?.parameters.find(
    ({ name, optional }) => !optional && metric.parameters[name] === null,
  );
  return lacks?.label ?? "";
}

/** Fields are made once for a statistic: nobody loses what is being typed to an answer. */
function parameterFields(
  onChange: (metric: MetricState) => void,
): Control<SettingsProps> & { focus(label: string): void } {
  const over = h("span", { class: "gh-caption" });
  const element = h("div", {
    class: "gh-settings",
    attrs: { role: "group" },
    aria: { label: "Settings of the statistic" },
  });
  let made = "";
  let fields: Field[] = [];
  let metric = NOTHING;
  const send = (name: string, value: Value): void =>
    onChange({ ...metric, parameters: { ...metric.parameters, [name]: value } });
  return {
    element,
    update({ metrics, metric: next, disabled }) {
      metric = next;
      const parameters = metrics.find(({ name }) => name === metric.name)?.parameters ?? [];
      const key = JSON.stringify([metric.name, parameters]);
      if (key !== made) {
        made = key;
        fields = parameters.map((one) => field(one, (value) => send(one.name, value)));
        fill(element, ...fields.map((one) => one.element), over);
      }
      for (const one of fields) {
        one.update(metric.parameters[one.name] ?? null);
        one.input.disabled = disabled;
      }
      over.textContent = metric.over && `mean over ${metric.over}`;
      over.hidden = !metric.over;
      element.hidden = fields.length === 0 && !metric.over;
    },
    focus(label) {
      fields.find((one) => one.label === label)?.input.focus();
    },
  };
}

interface Field {
  name: string;
  label: string;
  element: HTMLElement;
  input: Input["element"];
  update(value: Value): void;
}

function field(parameter: ParameterInfo, send: (value: Value) => void): Field {
  const { name, label, kind, help } = parameter;
  const input = kind === "choice" ? choiceInput(parameter, send) : typedInput(parameter, send);
  const attrs: Record<string, string> = help ? { title: help } : {};
  const caption = h("span", { class: "gh-caption" }, label);
  const element = h("label", { class: "gh-field", attrs }, caption, input.element);
  return { name, label, element, input: input.element, update: input.update };
}

interface Input extends Control<Value> {
  readonly element: HTMLInputElement | HTMLSelectElement;
}

function choiceInput({ name, choices }: ParameterInfo, send: (value: Value) => void): Input {
  const select = h(
    "select",
    { class: "gh-select", data: { parameter: name }, on: { change: () => send(select.value) } },
    ...choices.map((one) => h("option", { attrs: { value: one.value } }, one.label)),
  );
  return {
    element: select,
    update(value) {
      select.value = String(value ?? "");
    },
  };
}

/** Sent on Enter or when the field is left, if it has changed and makes sense. */
function typedInput(parameter: ParameterInfo, send: (value: Value) => void): Input {
  const { name, kind, help, optional } = parameter;
  let written = "";
  const input = h("input", {
    class: kind === "text" ? "gh-input is-text" : "gh-input",
    attrs: {
      type: "text",
      ...(kind === "text" ? {} : { inputmode: "decimal", size: 5 }),
      placeholder: kind === "text" ? help : optional ? "all" : "",
      spellcheck: "false",
      autocomplete: "off",
    },
    data: { parameter: name },
  });
  const complain = (problem: string): void => {
    input.setCustomValidity(problem);
    input.classList.toggle("is-wrong", problem !== "");
    if (problem) input.reportValidity();
  };
  const commit = (): void => {
    if (input.value === written) return;
    const read = readValue(parameter, input.value);
    complain(read.problem);
    if (read.problem) return;
    written = input.value;
    send(read.value);
  };
  const key = (event: KeyboardEvent): void => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Enter") commit();
    else {
      input.value = written;
      complain("");
    }
  };
  input.addEventListener("change", commit);
  input.addEventListener("input", () => complain(""));
  input.addEventListener("keydown", key);
  return {
    element: input,
    update(value) {
      const next = writeValue(value);
      if (next === written) return;
      // What is being typed stays; what is not takes the new value.
      if (input.value === written) input.value = next;
      written = next;
    },
  };
}

/** A value as it stands in its field: small numbers with an exponent, which the field has room for. */
export function writeValue(value: Value): string {
  if (value === null) return "";
  const plain = String(value);
  const long = typeof value === "number" && Math.abs(value) < 1e-3 && plain.length > 6;
  return long ? value.toExponential() : plain;
}

/** What was typed, or in words why it cannot be meant. */
export function readValue(
  { label, kind, optional, min, max }: ParameterInfo,
  typed: string,
): { value: Value; problem: string } {
  if (typed.trim() === "") {
    return optional ? { value: null, problem: "" } : { value: null, problem: `${label} is empty.` };
  }
  // The space before a word counts: it asks for the beginning of a word.
  if (kind === "text") return { value: typed, problem: "" };
  const value = numberIn(typed.trim());
  const whole = kind === "int" && !Number.isInteger(value);
  const wrong =
    !Number.isFinite(value) ||
    whole ||
    (min !== null && value < min) ||
    (max !== null && value > max);
  if (!wrong) return { value, problem: "" };
  const what = kind === "int" ? "a whole number" : "a number";
  const from = min === null ? "" : ` from ${writeValue(min)}`;
  const to = max === null ? "" : ` to ${max.toLocaleString("en-US")}`;
  return { value: null, problem: `${label} is ${what}${from}${to}.` };
}

/** "1,000" is a thousand, "0,5" a half, "1e−6" a millionth. */
function numberIn(typed: string): number {
  const grouped = /^[-−]?[1-9]\d{0,2}(,\d{3})+$/.test(typed);
  return Number(typed.replaceAll("−", "-").replaceAll(",", grouped ? "" : "."));
}
