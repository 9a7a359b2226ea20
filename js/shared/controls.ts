/** The controls all views share: native elements, styled by theme.css, at least 24 px to hit. */

import { type Child, fill, h } from "./dom";
import { css, headColour, type Theme } from "./palette";
import type { Kind, Scene, Unit } from "./state";

export interface Control<P> {
  readonly element: HTMLElement;
  update(props: P): void;
}

// ── Layer stepper ───────────────────────────────────────────────────────────────────────────────

export interface LayerProps {
  layers: readonly number[];
  layer: number;
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
  const button = (by: number, action: string, label: string, sign: string): HTMLButtonElement =>
    h(
      "button",
      {
        class: "gh-button gh-step",
        attrs: { type: "button" },
        data: { action },
        aria: { label },
        on: { click: () => step(by) },
      },
      sign,
    );
  const previous = button(-1, "layer-previous", "Previous layer", "‹");
  const next = button(1, "layer-next", "Next layer", "›");
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
      select.value = String(props.layer);
      previous.disabled = neighbour(props.layers, props.layer, -1) === null;
      next.disabled = neighbour(props.layers, props.layer, 1) === null;
    },
  };
}

/** The layer `by` places away, or null at the ends. */
export function neighbour(layers: readonly number[], layer: number, by: number): number | null {
  const index = layers.indexOf(layer);
  return index < 0 ? (layers[0] ?? null) : (layers[index + by] ?? null);
}

// ── Heads ───────────────────────────────────────────────────────────────────────────────────────

export interface HeadsProps {
  nHeads: number;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  theme: Theme;
  /** [n_heads, size, size] bytes, or null when the view has no pictures of the heads. */
  thumbnails: { values: ArrayLike<number>; size: number } | null;
}

/** Turns one head on or off. All on, or none left, is written as [] = all. */
export function toggleHead(heads: readonly number[], head: number, nHeads: number): number[] {
  const on = new Set(heads.length ? heads : range(nHeads));
  if (on.has(head)) on.delete(head);
  else on.add(head);
  return on.size === nHeads ? [] : [...on].sort((a, b) => a - b);
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** A tile per head: click toggles, double-click solos, shift-click takes the range. */
export function headTiles(onChange: (heads: number[]) => void): Control<HeadsProps> {
  let props: HeadsProps = { nHeads: 0, heads: [], theme: "light", thumbnails: null };
  let last = 0;
  const tiles: HTMLButtonElement[] = [];
  const list = h("div", { class: "gh-heads", attrs: { role: "group" }, aria: { label: "Heads" } });
  const all = h(
    "button",
    {
      class: "gh-button",
      attrs: { type: "button", title: "Show all heads" },
      data: { action: "heads-all" },
      on: { click: () => onChange([]) },
    },
    "All",
  );
  const element = h("div", { class: "gh-heads-row" }, all, list);
  const click = (head: number, event: MouseEvent): void => {
    if (event.shiftKey) {
      const [from, to] = [Math.min(last, head), Math.max(last, head)];
      const heads = range(props.nHeads).slice(from, to + 1);
      onChange(heads.length === props.nHeads ? [] : heads);
    } else if (event.detail === 2) {
      onChange(props.nHeads === 1 ? [] : [head]);
    } else {
      onChange(toggleHead(props.heads, head, props.nHeads));
    }
    last = head;
  };
  const build = (): void => {
    tiles.length = 0;
    for (const head of range(props.nHeads)) tiles.push(headTile(head, click));
    fill(list, ...tiles);
  };
  return {
    element,
    update(next) {
      const rebuild = next.nHeads !== props.nHeads;
      const redraw =
        rebuild ||
        next.theme !== props.theme ||
        next.thumbnails?.values !== props.thumbnails?.values;
      props = next;
      if (rebuild) build();
      element.classList.toggle("has-pictures", next.thumbnails !== null);
      // One head leaves nothing to choose; its picture is still worth a look.
      all.hidden = next.nHeads <= 1;
      element.hidden = next.nHeads <= 1 && !next.thumbnails;
      all.setAttribute("aria-pressed", String(next.heads.length === 0));
      for (const [head, tile] of tiles.entries()) {
        const on = next.heads.length === 0 || next.heads.includes(head);
        tile.setAttribute("aria-pressed", String(on));
        if (redraw) paintTile(tile, head, next);
      }
    },
  };
}

function headTile(
  head: number,
  click: (head: number, event: MouseEvent) => void,
): HTMLButtonElement {
  return h(
    "button",
    {
      class: "gh-head",
      attrs: {
        type: "button",
        title: `Head ${head}: click turns it on or off, double-click shows it alone, shift-click a range`,
      },
      data: { head },
      aria: { label: `Head ${head}`, pressed: true },
      on: { click: (event) => click(head, event) },
    },
    h("canvas", { aria: { hidden: true } }),
    h("span", {}, head),
  );
}

function paintTile(tile: HTMLButtonElement, head: number, props: HeadsProps): void {
  const colour = headColour(head, props.nHeads, props.theme);
  tile.style.setProperty("--head", css(colour));
  const canvas = tile.querySelector("canvas");
  if (!canvas || !props.thumbnails) return;
  const { size, values } = props.thumbnails;
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    image.data.set([...colour, values[head * size * size + i] ?? 0], 4 * i);
  }
  context.putImageData(image, 0, 0);
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
}

/** A few exclusive choices side by side; hidden when there is nothing to choose. */
export function segmented<T extends string>(
  label: string,
  action: string,
  onChange: (value: T) => void,
): Control<SegmentedProps<T>> {
  let shown = "";
  const element = h("div", {
    class: "gh-segmented",
    attrs: { role: "group" },
    aria: { label },
    data: { action },
  });
  return {
    element,
    update({ choices, value }) {
      const names = choices.map((choice) => `${choice.value}:${choice.label}`).join();
      if (names !== shown) {
        shown = names;
        fill(element, ...choices.map((choice) => segment(choice, onChange)));
      }
      element.hidden = choices.length < 2;
      for (const button of element.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button.dataset.value === value));
      }
    },
  };
}

function segment<T extends string>(
  choice: Choice<T>,
  onChange: (value: T) => void,
): HTMLButtonElement {
  return h(
    "button",
    {
      class: "gh-segment",
      attrs: { type: "button", ...(choice.title ? { title: choice.title } : {}) },
      data: { value: choice.value },
      on: { click: () => onChange(choice.value) },
    },
    choice.label,
  );
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

// ── Slider ──────────────────────────────────────────────────────────────────────────────────────

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
      input.setAttribute("aria-valuetext", text);
      output.textContent = text;
    },
  };
}

// ── Help ────────────────────────────────────────────────────────────────────────────────────────

/** The `?` that opens a few sentences on how to read the view. */
export function menuHelp(title: string): Control<readonly string[]> {
  const heading = h("strong", {}, `How to read ${title}`);
  const panel = h("div", { class: "gh-help", attrs: { hidden: true, role: "note" } }, heading);
  const open = (on: boolean): void => {
    panel.toggleAttribute("hidden", !on);
    button.setAttribute("aria-expanded", String(on));
  };
  const button = h(
    "button",
    {
      class: "gh-button gh-round",
      attrs: { type: "button", title: "How to read this" },
      aria: { label: "How to read this view", expanded: false },
      data: { action: "help" },
      on: { click: () => open(panel.hasAttribute("hidden")) },
    },
    "?",
  );
  const element = h(
    "div",
    {
      class: "gh-help-anchor",
      on: {
        keydown: (event) => {
          if (event.key !== "Escape" || panel.hasAttribute("hidden")) return;
          event.stopPropagation();
          open(false);
          button.focus();
        },
        focusout: (event) => {
          const to = event.relatedTarget;
          if (!(to instanceof Node) || !(to === button || panel.contains(to))) open(false);
        },
      },
    },
    button,
    panel,
  );
  return {
    element,
    update(sentences) {
      const paragraphs: Child[] = sentences.map((sentence) => h("p", {}, sentence));
      fill(panel, heading, ...paragraphs);
    },
  };
}
