/** Keys that mean the same in every view. Only handled keys are stopped. */

import type { Host } from "./host/host";
import { headsOf, layerNumbers, neighbour, toggleHead } from "./scene";
import type { TraceState } from "./state";

/** Arrow and digit keys belong to a select or slider that has the focus. */
export function inField(event: KeyboardEvent): boolean {
  return event.target instanceof HTMLSelectElement || event.target instanceof HTMLInputElement;
}

export function handled(event: KeyboardEvent): void {
  event.preventDefault();
  event.stopPropagation();
}

/** `[` `]` step through layers, digits toggle heads, Escape clears; true when it was one of them. */
export function commonKeys(event: KeyboardEvent, host: Host<TraceState>): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || inField(event)) return false;
  if (/^[0-9]$/.test(event.key)) {
    if (!typeHead(Number(event.key), host)) return false;
  } else {
    const patch = commonPatch(event.key, host.state);
    if (!patch) return false;
    host.set(patch);
  }
  handled(event);
  return true;
}

/** Milliseconds in which a second digit makes a number of the first. */
export const DIGITS_MS = 600;

/** A first digit that waits for a second one. */
interface Typed {
  digit: number;
  timer: number;
}
const typed = new WeakMap<object, Typed>();

/** A digit of a head's number; a first one that can have a second waits for it. */
function typeHead(digit: number, host: Host<TraceState>): boolean {
  const nHeads = headsOf(host.state);
  const toggle = (head: number): void => {
    host.set({ heads: toggleHead(host.state.heads, head, nHeads) });
  };
  const first = typed.get(host);
  if (first) {
    window.clearTimeout(first.timer);
    typed.delete(host);
    const head = 10 * first.digit + digit;
    if (head < nHeads) {
      toggle(head);
      return true;
    }
    toggle(first.digit);
  }
  if (digit >= nHeads) return first !== undefined;
  if (digit > 0 && 10 * digit < nHeads) {
    const act = (): void => {
      typed.delete(host);
      toggle(digit);
    };
    typed.set(host, { digit, timer: window.setTimeout(act, DIGITS_MS) });
  } else toggle(digit);
  return true;
}

function commonPatch(key: string, state: TraceState): Partial<TraceState> | null {
  if (key === "[" || key === "]") {
    const layer = neighbour(layerNumbers(state), state.layer, key === "]" ? 1 : -1);
    return { layer: layer ?? state.layer };
  }
  if (key === "Escape") {
    return { selected: [], selected_source: [], hovered: null, hovered_source: null };
  }
  return null;
}
