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
  mark(control, "aria-disabled", on ? "true" : null);
}

// A browser styles and lays out again what is set again, whether or not it is something else. What
// views bring in line with their state at every change is therefore compared first.

/** Sets an attribute, or with null takes it away, where it is not so already. */
export function mark(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** Hides an element or shows it, where it is not so already. */
export function hide(element: HTMLElement, on: boolean): void {
  if (element.hidden !== on) element.hidden = on;
}

/** Sets the words of an element that has nothing else, where it does not say so already. */
export function say(element: Element, words: string): void {
  const { firstChild } = element;
  if (element.childNodes.length !== 1 || !(firstChild instanceof Text)) {
    if (words || firstChild) element.textContent = words;
  } else if (firstChild.data !== words) firstChild.data = words;
}

/** Sets one property of an element's own style, where it is not so already. */
export function style(element: HTMLElement, name: string, value: string): void {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
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

/**
 * Replaces the children by words and links, where it does not say so already. Links that look
 * alike do the same: what they lead to is in their attributes.
 */
export function restate(element: Element, ...children: Child[]): void {
  const wanted = h("p", {}, ...children);
  const { childNodes } = element;
  const isSame =
    childNodes.length === wanted.childNodes.length &&
    [...wanted.childNodes].every((node, i) => node.isEqualNode(childNodes[i] ?? null));
  if (!isSame) element.replaceChildren(...wanted.childNodes);
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
  style(canvas, "width", `${width}px`);
  style(canvas, "height", `${height}px`);
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
