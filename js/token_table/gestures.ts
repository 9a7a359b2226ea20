/** Pointer and keys, as what they mean: point at a token or its row, pin it, move along the text. */

import type { Host } from "../shared/host/host";
import { handled, inField } from "../shared/keys";
import { toggled } from "../shared/lit";
import type { Shell } from "../shared/shell";
import { keyTarget, positionOf, type Tokens } from "../shared/text";
import type { TableState } from "./state";

export interface Places {
  texts: HTMLElement;
  table: HTMLElement;
  tokens(): Tokens;
  /** The pointer is at a token of the other tokenizer, or at none. */
  onOther(position: number | null): void;
}

export function listen(
  { root, signal }: Shell,
  host: Host<TableState>,
  { texts, table, tokens, onOther }: Places,
): void {
  const at = (event: Event): number | null =>
    positionOf(event, "position") ?? positionOf(event, "row");
  const point = (event: Event | null): void => {
    host.set({ hovered: event && at(event) });
    onOther(event && positionOf(event, "other-position"));
  };
  const pin = (position: number): void =>
    host.set({ selected: toggled(host.state.selected, position) });
  const click = (event: MouseEvent): void => {
    // The end of a text selection is not a wish to pin.
    if (window.getSelection()?.isCollapsed === false) return;
    const position = at(event);
    if (position !== null) pin(position);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event)) return;
    const here = host.state.hovered ?? host.state.selected.at(-1) ?? -1;
    const inTable = event.target === table;
    const next = inTable
      ? rowTarget(event.key, here, tokens())
      : keyTarget(event.key, here, tokens());
    if (event.key === "Escape") host.set({ hovered: null, selected: [] });
    else if (next !== null) host.set({ hovered: next });
    else if ((event.key === "Enter" || event.key === " ") && (inTable || event.target === texts)) {
      if (here >= 0) pin(here);
    } else return;
    handled(event);
  };
  for (const place of [texts, table]) {
    place.addEventListener("pointerover", point, { signal });
    place.addEventListener("pointerleave", () => point(null), { signal });
    place.addEventListener("click", click, { signal });
  }
  root.addEventListener("keydown", press, { signal });
}

/** In the table every token is a row. */
function rowTarget(key: string, position: number, tokens: Tokens): number | null {
  const along = { ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft" }[key] ?? key;
  return keyTarget(along, position, tokens);
}
