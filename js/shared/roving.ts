/** One stop of the Tab key for a group of buttons; arrows, Home and End move inside it. */

import { mark } from "./dom";
import { handled } from "./keys";

export interface Roving {
  /** The buttons, or which of them is pressed, have changed. */
  refresh(): void;
}

/** Makes one stop of the buttons inside an element, or of those that match. */
export function roving(element: HTMLElement, which = "button"): Roving {
  const buttons = (): HTMLButtonElement[] => [
    ...element.querySelectorAll<HTMLButtonElement>(`${which}:not([hidden])`),
  ];
  const stopAt = (stop: HTMLButtonElement | undefined): void => {
    for (const button of buttons()) mark(button, "tabindex", button === stop ? "0" : "-1");
  };
  element.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLButtonElement && target.matches(which)) stopAt(target);
  });
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = buttons();
    const from = all.indexOf(event.target as HTMLButtonElement);
    const to = from < 0 ? null : destination(event.key, from, all);
    if (to === null) return;
    handled(event);
    all[to]?.focus();
  });
  return {
    refresh() {
      const all = buttons();
      const kept = all.find((button) => button.tabIndex === 0 && button.matches(":focus"));
      stopAt(kept ?? all.find((one) => one.getAttribute("aria-pressed") === "true") ?? all[0]);
    },
  };
}

/** Makes a toolbar of an element: its buttons belong together, and are one stop. */
export function toolbar(element: HTMLElement, label: string): Roving {
  element.setAttribute("role", "toolbar");
  element.setAttribute("aria-label", label);
  const stops = roving(element);
  stops.refresh();
  return stops;
}

/** Where a key leads to; null where it is none of ours. */
function destination(key: string, from: number, all: readonly HTMLElement[]): number | null {
  const last = all.length - 1;
  const within = (to: number): number => Math.min(last, Math.max(0, to));
  switch (key) {
    case "ArrowRight":
      return within(from + 1);
    case "ArrowLeft":
      return within(from - 1);
    case "ArrowDown":
      return within(nearestRow(from, all, 1));
    case "ArrowUp":
      return within(nearestRow(from, all, -1));
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

/** The button below (1) or above (−1); in a single row the next one. */
function nearestRow(from: number, all: readonly HTMLElement[], by: 1 | -1): number {
  const first = all[0]?.offsetTop ?? 0;
  const perRow = all.findIndex((button) => button.offsetTop > first);
  if (perRow <= 0) return from + by;
  const to = from + by * perRow;
  return to < 0 || to >= all.length ? from : to;
}
