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
  const patch = commonPatch(event.key, host.state);
  if (!patch) return false;
  handled(event);
  host.set(patch);
  return true;
}

function commonPatch(key: string, state: TraceState): Partial<TraceState> | null {
  if (key === "[" || key === "]") {
    const layer = neighbour(layerNumbers(state), state.layer, key === "]" ? 1 : -1);
    return { layer: layer ?? state.layer };
  }
  if (/^[0-9]$/.test(key) && Number(key) < headsOf(state)) {
    return { heads: toggleHead(state.heads, Number(key), headsOf(state)) };
  }
  if (key === "Escape") {
    return { selected: [], selected_source: [], hovered: null, hovered_source: null };
  }
  return null;
}
