/** One tooltip per view, inside its root, beside (never over) the thing it explains. */

import { type Child, fill, h, hide } from "./dom";

/** A rectangle in client coordinates; a DOMRect will do. */
export interface Anchor {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Tooltip {
  /** `prefer`: the side to try first; it flips when there is no room. */
  show(anchor: Anchor, content: Child[], prefer?: "above" | "below"): void;
  hide(): void;
  readonly element: HTMLElement;
}

const GAP = 8;

export function createTooltip(root: HTMLElement): Tooltip {
  const element = h("div", { class: "gh-tooltip", attrs: { role: "tooltip", hidden: true } });
  root.append(element);
  return {
    element,
    show(anchor, content, prefer = "below") {
      fill(element, ...content);
      hide(element, false);
      place(root, element, anchor, prefer);
    },
    hide: () => hide(element, true),
  };
}

function place(
  root: HTMLElement,
  element: HTMLElement,
  anchor: Anchor,
  prefer: "above" | "below",
): void {
  const frame = root.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = element;
  const roomBelow = Math.min(frame.bottom, window.innerHeight) - anchor.bottom - GAP >= height;
  const roomAbove = anchor.top - Math.max(frame.top, 0) - GAP >= height;
  const below = prefer === "below" ? roomBelow || !roomAbove : !roomAbove && roomBelow;
  const middle = (anchor.left + anchor.right) / 2 - width / 2;
  const left = Math.min(Math.max(middle, frame.left + 4), frame.right - width - 4);
  const top = below ? anchor.bottom + GAP : anchor.top - GAP - height;
  element.style.left = `${Math.round(left - frame.left)}px`;
  element.style.top = `${Math.round(top - frame.top)}px`;
}
