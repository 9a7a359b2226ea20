/** Pointer and keys of the text, as what they mean: point at a token, pin it, move along the text. */

import type { Host } from "../shared/host/host";
import { commonKeys, handled, inField } from "../shared/keys";
import { toggled } from "../shared/lit";
import type { Shell } from "../shared/shell";
import { keyTarget, positionOf, scrollTo, type Tokens } from "../shared/text";
import type { Span } from "./profile";
import type { StripState } from "./state";

export interface Gestures {
  pin(position: number): void;
  /** Scrolls a long text until the token shows; the page itself is left alone. */
  reveal(position: number): void;
}

/** `texts` is what scrolls, `tokens` gives its tokens, those of the source left out. */
export function createGestures(
  { root, signal }: Shell,
  host: Host<StripState>,
  texts: HTMLElement,
  tokens: () => Tokens,
  onSpan: ((span: Span | null) => void) | null,
): Gestures {
  const point = (event: Event | null): void =>
    host.set({
      hovered: event && positionOf(event, "position"),
      hovered_source: event && positionOf(event, "source-position"),
    });
  const pin = (position: number): void =>
    host.set({ selected: toggled(host.state.selected, position) });
  const reveal = (position: number): void => scrollTo(texts, tokens().token(position));
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
  // With Shift the arrows draw a span from where they began.
  let drawn: { from: number; to: number } | null = null;
  const drawTo = (from: number, to: number): void => {
    drawn = { from, to };
    host.set({ hovered: null });
    onSpan?.([Math.min(from, to), Math.max(from, to) + 1]);
    reveal(to);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Escape") onSpan?.(null);
    if (commonKeys(event, host) || inField(event)) return;
    if (event.shiftKey && onSpan && event.key.startsWith("Arrow")) {
      const at = drawn?.to ?? host.state.hovered ?? host.state.selected.at(-1) ?? 0;
      const to = keyTarget(event.key, at, tokens());
      if (to !== null) {
        handled(event);
        drawTo(drawn?.from ?? at, to);
      }
      return;
    }
    if (event.key !== "Shift") drawn = null;
    const position = host.state.hovered ?? host.state.selected.at(-1) ?? -1;
    const next = keyTarget(event.key, position, tokens());
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
