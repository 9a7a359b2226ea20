/** Pointer and keys of the text, as what they mean: point at a token, pin it, move along the text. */

import type { Host } from "../shared/host/host";
import { commonKeys, handled, inField } from "../shared/keys";
import { toggled } from "../shared/lit";
import type { Shell } from "../shared/shell";
import type { StripState } from "./state";
import { neighbourLine, positionOf } from "./text";

export interface Gestures {
  pin(position: number): void;
  /** Scrolls a long text until the token shows; the page itself is left alone. */
  reveal(position: number): void;
}

/** `texts` is what scrolls, `tokens` gives its elements, those of the source left out. */
export function createGestures(
  { root, signal }: Shell,
  host: Host<StripState>,
  texts: HTMLElement,
  tokens: () => readonly HTMLElement[],
): Gestures {
  const point = (event: Event | null): void =>
    host.set({
      hovered: event && positionOf(event, "position"),
      hovered_source: event && positionOf(event, "source-position"),
    });
  const pin = (position: number): void =>
    host.set({ selected: toggled(host.state.selected, position) });
  const reveal = (position: number): void => scrollTo(texts, tokens()[position]);
  const click = (event: MouseEvent): void => {
    // The end of a text selection is not a wish to pin.
    if (window.getSelection()?.isCollapsed === false) return;
    const position = positionOf(event, "position");
    if (position !== null) pin(position);
    const source = positionOf(event, "source-position");
    if (source !== null) {
      host.set({ selected_source: toggled(host.state.selected_source, source) });
    }
  };
  const press = (event: KeyboardEvent): void => {
    if (commonKeys(event, host) || inField(event)) return;
    const position = host.state.hovered ?? host.state.selected.at(-1) ?? -1;
    const next = moved(event.key, position, tokens());
    if (next !== null) {
      handled(event);
      host.set({ hovered: next });
      reveal(next);
    } else if ((event.key === "Enter" || event.key === " ") && event.target === texts) {
      handled(event);
      if (position >= 0) pin(position);
    }
  };
  texts.addEventListener("pointerover", point, { signal });
  texts.addEventListener("pointerleave", () => point(null), { signal });
  texts.addEventListener("click", click, { signal });
  root.addEventListener("keydown", press, { signal });
  return { pin, reveal };
}

/** The token that a key leads to; null for another key. */
function moved(key: string, position: number, tokens: readonly HTMLElement[]): number | null {
  const last = tokens.length - 1;
  const clamp = (to: number): number => Math.min(last, Math.max(0, to));
  if (key === "ArrowRight") return clamp(position + 1);
  if (key === "ArrowLeft") return clamp(position - 1);
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  return neighbourLine(tokens, clamp(position), key === "ArrowDown" ? 1 : -1) ?? clamp(position);
}

function scrollTo(texts: HTMLElement, token: HTMLElement | undefined): void {
  if (!token || texts.scrollHeight <= texts.clientHeight) return;
  const [box, frame] = [token.getBoundingClientRect(), texts.getBoundingClientRect()];
  if (box.top < frame.top) texts.scrollTop += box.top - frame.top;
  else if (box.bottom > frame.bottom) texts.scrollTop += box.bottom - frame.bottom;
}
