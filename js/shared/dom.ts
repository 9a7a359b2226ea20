/** A small typed element builder. Strings become text nodes, never markup. */

export type Child = Node | string | number | null | undefined | false;

export interface Props {
  class?: string;
  /** Plain attributes; `true` sets an empty one, `false` leaves it out. */
  attrs?: Record<string, string | number | boolean>;
  aria?: Record<string, string | number | boolean>;
  data?: Record<string, string | number>;
  style?: Record<string, string>;
  on?: { [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  setAttributes(element, props.attrs ?? {});
  for (const [name, value] of Object.entries(props.aria ?? {})) {
    element.setAttribute(`aria-${name}`, String(value));
  }
  for (const [name, value] of Object.entries(props.data ?? {})) {
    element.setAttribute(`data-${name}`, String(value));
  }
  for (const [name, value] of Object.entries(props.style ?? {})) {
    element.style.setProperty(name, value);
  }
  for (const [name, listener] of Object.entries(props.on ?? {})) {
    element.addEventListener(name, listener as EventListener);
  }
  appendChildren(element, children);
  return element;
}

export function button(
  name: string,
  click: (event: MouseEvent) => void,
  props: Props,
  ...children: Child[]
): HTMLButtonElement {
  const attrs = { type: "button", ...props.attrs };
  const guarded = (event: MouseEvent): void => {
    if (element.getAttribute("aria-disabled") !== "true") click(event);
  };
  const on = { ...props.on, click: guarded };
  const element = h("button", { ...props, class: name, attrs, on }, ...children);
  return element;
}

/** Says that a control has nothing to do now. It keeps its place, and the focus if it has it. */
export function disable(control: Element, on: boolean): void {
  if (on) control.setAttribute("aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
}

/** What can be done here: of use on the page, and left out of a saved picture. */
export function hint(words: string, name = ""): HTMLSpanElement {
  return h("span", { class: name, data: { "in-picture": "no" } }, words);
}

/** The same as `h` for SVG; attributes only, as SVG has little else. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attrs: Record<string, string | number | boolean> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attrs);
  appendChildren(element, children);
  return element;
}

/** Replaces the children only; `replaceChildren` that takes the same things as `h`. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  appendChildren(element, children);
}

function setAttributes(element: Element, attrs: Record<string, string | number | boolean>): void {
  for (const [name, value] of Object.entries(attrs)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
}

function appendChildren(element: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Calls back when the element's size changes; hidden (0 × 0) elements are left alone. */
export function watchSize(element: Element, callback: () => void, signal: AbortSignal): void {
  if (typeof ResizeObserver === "undefined") return;
  const observer = new ResizeObserver(() => {
    if (element.clientWidth > 0) callback();
  });
  observer.observe(element);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** Gives a canvas the size in CSS pixels and a context scaled for the screen (at most 2 ×). */
export function sizeCanvas(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
