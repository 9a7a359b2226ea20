/** The controls all views share: native elements, styled by theme.css, at least 24 px to hit. */

import { button, type Child, disable, fill, h, hide, mark } from "./dom";
import { popup } from "./popup";
import { roving } from "./roving";
import { neighbour } from "./scene";
import type { Kind, Scene, Unit } from "./state";

export interface Control<P> {
  readonly element: HTMLElement;
  update(props: P): void;
}

// ── Layer stepper ───────────────────────────────────────────────────────────────────────────────

export interface LayerProps {
  layers: readonly number[];
  layer: number;
  /** No other layer can be shown now. */
  disabled?: boolean;
}

/** ‹ layer 3 › — steps through the model's own layer numbers. */
export function layerStepper(onChange: (layer: number) => void): Control<LayerProps> {
  let current: LayerProps = { layers: [], layer: 0 };
  const step = (by: number): void => {
    const next = neighbour(current.layers, current.layer, by);
    if (next !== null) onChange(next);
  };
  const select = h("select", {
    class: "gh-layer",
    aria: { label: "Layer" },
    on: { change: () => onChange(Number(select.value)) },
  });
  const stepButton = (by: number, action: string, label: string, sign: string): HTMLButtonElement =>
    button(
      "gh-button gh-step",
      () => step(by),
      {
        data: { action },
        aria: { label },
      },
      sign,
    );
  const previous = stepButton(-1, "layer-previous", "Previous layer", "‹");
  const next = stepButton(1, "layer-next", "Next layer", "›");
  const element = h(
    "div",
    { class: "gh-stepper", attrs: { role: "group" }, aria: { label: "Layer" } },
    h("span", { class: "gh-caption" }, "Layer"),
    previous,
    select,
    next,
  );
  return {
    element,
    update(props) {
      if (props.layers.join() !== current.layers.join() || !select.options.length) {
        fill(select, ...props.layers.map((n) => h("option", { attrs: { value: n } }, n)));
      }
      current = props;
      if (select.value !== String(props.layer)) select.value = String(props.layer);
      const off = props.disabled ?? false;
      if (select.disabled !== off) select.disabled = off;
      disable(previous, off || neighbour(props.layers, props.layer, -1) === null);
      disable(next, off || neighbour(props.layers, props.layer, 1) === null);
    },
  };
}

// ── Segmented choice ────────────────────────────────────────────────────────────────────────────

export interface Choice<T extends string> {
  value: T;
  label: string;
  title?: string;
}

export interface SegmentedProps<T extends string> {
  choices: readonly Choice<T>[];
  value: T;
  /** Nothing to choose now: the choices stay, and say so. */
  disabled?: boolean;
}

/** A few exclusive choices side by side; hidden when there is never anything to choose. */
export function segmented<T extends string>(
  label: string,
  action: string,
  onChange: (value: T) => void,
): Control<SegmentedProps<T>> {
  let shown = "";
  const element = h("div", {
    class: "gh-segmented",
    attrs: { role: "toolbar" },
    aria: { label },
    data: { action },
  });
  const stops = roving(element);
  return {
    element,
    update({ choices, value, disabled = false }) {
      const names = choices.map((choice) => `${choice.value}:${choice.label}`).join();
      if (names !== shown) {
        shown = names;
        fill(element, ...choices.map((choice) => segment(choice, onChange)));
      }
      hide(element, choices.length < 2);
      for (const button of element.querySelectorAll("button")) {
        mark(button, "aria-pressed", String(button.dataset.value === value));
        disable(button, disabled);
      }
      stops.refresh();
    },
  };
}

function segment<T extends string>(
  choice: Choice<T>,
  onChange: (value: T) => void,
): HTMLButtonElement {
  return button(
    "gh-segment",
    () => onChange(choice.value),
    {
      attrs: choice.title ? { title: choice.title } : {},
      data: { value: choice.value },
    },
    choice.label,
  );
}

// ── Choice from a list ──────────────────────────────────────────────────────────────────────────

/** A caption and a list that opens: for what is chosen seldom, or among many. */
export function dropdown<T extends string>(
  caption: string,
  action: string,
  onChange: (value: T) => void,
): Control<SegmentedProps<T>> {
  let shown = "";
  const select = h("select", {
    class: "gh-select",
    data: { action },
    on: { change: () => onChange(select.value as T) },
  });
  const element = h(
    "label",
    { class: "gh-choice" },
    h("span", { class: "gh-caption" }, caption),
    select,
  );
  return {
    element,
    update({ choices, value, disabled = false }) {
      const names = choices.map((choice) => `${choice.value}:${choice.label}`).join();
      if (names !== shown) {
        shown = names;
        fill(
          select,
          ...choices.map((one) => h("option", { attrs: { value: one.value } }, one.label)),
        );
      }
      if (select.value !== value) select.value = value;
      mark(select, "title", choices.find((choice) => choice.value === value)?.title ?? "");
      if (select.disabled !== disabled) select.disabled = disabled;
    },
  };
}

export const UNITS: readonly Choice<Unit>[] = [
  { value: "token", label: "Tokens" },
  { value: "word", label: "Words", title: "Tokens of a word fused" },
];

/** "Decoder self-attention" is "Decoder" on its button; the title says it in full. */
export function kindChoices(scene: Scene): Choice<Kind>[] {
  return (scene.kinds ?? []).map(({ name, title }) => ({
    value: name,
    label: title.replace(/[ -](self-)?attention$/i, ""),
    title,
  }));
}

// ── Help ────────────────────────────────────────────────────────────────────────────────────────

/** The `?` that opens a few sentences on how to read the view. */
export function menuHelp(title: string, signal: AbortSignal): Control<readonly string[]> {
  const heading = h("strong", {}, `How to read ${title}`);
  const panel = h("div", { class: "gh-help", attrs: { role: "note" } }, heading);
  const opener = button(
    "gh-button gh-round",
    () => help.toggle(),
    {
      attrs: { title: "How to read this" },
      aria: { label: "How to read this view" },
      data: { action: "help" },
    },
    "?",
  );
  const element = h("div", { class: "gh-help-anchor" }, opener, panel);
  const help = popup(element, opener, panel, signal);
  return {
    element,
    update(sentences) {
      const paragraphs: Child[] = sentences.map((sentence) => h("p", {}, sentence));
      fill(panel, heading, ...paragraphs);
    },
  };
}
