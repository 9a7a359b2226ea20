/** A labelled range input; its look is in slider.css. */

import type { Control } from "./controls";
import { h, mark, say } from "./dom";

export interface SliderProps {
  value: number;
  /** The value in words, beside the track. */
  text: string;
}

/** A labelled range input; `onInput` is called while it moves. */
export function slider(
  label: string,
  action: string,
  limits: { min: number; max: number; step: number },
  onInput: (value: number) => void,
): Control<SliderProps> & { readonly input: HTMLInputElement } {
  const input = h("input", {
    class: "gh-slider",
    attrs: { type: "range", ...limits },
    aria: { label },
    data: { action },
    on: { input: () => onInput(Number(input.value)) },
  });
  const output = h("output", { class: "gh-number" });
  const element = h(
    "label",
    { class: "gh-slider-row" },
    h("span", { class: "gh-caption" }, label),
    input,
    output,
  );
  return {
    element,
    input,
    update({ value, text }) {
      if (Number(input.value) !== value) input.value = String(value);
      mark(input, "aria-valuetext", text);
      say(output, text);
    },
  };
}
