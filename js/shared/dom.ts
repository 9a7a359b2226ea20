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

/** The same for SVG; attributes only, as SVG has little else. */
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
