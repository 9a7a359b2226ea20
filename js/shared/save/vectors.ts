/** SVG that is on the page, with the look it has there. */

import { ink } from "./marks";

const STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-opacity",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-style",
  "text-anchor",
  "paint-order",
] as const;

/** A copy that looks the same anywhere: computed styles become attributes, controls are left out. */
export function inlined(picture: SVGElement): SVGElement {
  const copy = picture.cloneNode(true) as SVGElement;
  const [from, to] = [picture, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  const hidden: Element[] = [];
  for (const [i, original] of (from ?? []).entries()) {
    const target = to?.[i];
    if (!target) continue;
    const style = getComputedStyle(original);
    if (i > 0 && style.display === "none") hidden.push(target);
    for (const name of STYLES) {
      const value = style.getPropertyValue(name);
      // Patterns are referred to by name: their address on the page would lead nowhere.
      if (value && !value.startsWith("url(")) target.setAttribute(name, value);
    }
    for (const name of ["fill", "stroke"]) plain(target, name);
    for (const { name } of [...target.attributes]) {
      if (/^(class|style|role|tabindex|aria-|data-)/.test(name)) target.removeAttribute(name);
    }
  }
  for (const control of picture.querySelectorAll("[role=button]:not([data-cell])")) {
    const i = from?.indexOf(control) ?? -1;
    to?.[i]?.remove();
  }
  for (const one of hidden) one.remove();
  return copy;
}

/** `color(srgb …)` and the like as what every program reads. */
function plain(target: Element, name: string): void {
  const value = target.getAttribute(name);
  if (!value || !/^(color|okl|lab|lch|hsl|rgba)/.test(value)) return;
  const { colour, alpha } = ink(value);
  target.setAttribute(name, colour);
  if (alpha === 1) return;
  const opacity = Number(target.getAttribute(`${name}-opacity`) || 1);
  target.setAttribute(`${name}-opacity`, String(alpha * opacity));
}
