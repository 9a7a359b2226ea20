/** Pointer and keys of the texts, as what they mean: point at a token, ask about it, keep it. */

import { handled, inField } from "../shared/keys";
import { keyTarget, positionOf, type Tokens } from "../shared/text";

/** A token by its place: of the text that can be asked, or of the source. */
export interface Pointed {
  readonly where: "asked" | "source";
  readonly place: number;
  /** The strip that it is in. */
  readonly strip: number;
}

export interface Meanings {
  /** What is pointed at, or was pinned last. */
  readonly at: Pointed | null;
  /** The strip in which keys move, and its tokens with what is behind them. */
  readonly strip: number;
  tokens(): Tokens;
  point(at: Pointed | null, how: "pointer" | "key"): void;
  /** Asks about a token; `keep` beside what has been asked. */
  choose(at: Pointed, keep: boolean): void;
}

export function listen(texts: HTMLElement, meanings: Meanings, signal: AbortSignal): void {
  const over = (event: PointerEvent): void => meanings.point(pointed(event), "pointer");
  const click = (event: MouseEvent): void => {
    // The end of a text selection is not a wish to ask.
    if (window.getSelection()?.isCollapsed === false && !event.shiftKey) return;
    const at = pointed(event);
    if (at) meanings.choose(at, event.shiftKey);
  };
  // With Shift a browser selects the text from the last click on.
  const down = (event: MouseEvent): void => {
    if (event.shiftKey && pointed(event)) event.preventDefault();
  };
  texts.addEventListener("pointerover", over, { signal });
  texts.addEventListener("pointerleave", () => meanings.point(null, "pointer"), { signal });
  texts.addEventListener("mousedown", down, { signal });
  texts.addEventListener("click", click, { signal });
}

/** A key on the texts; true when it was one of theirs. */
export function textKey(event: KeyboardEvent, meanings: Meanings): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || inField(event)) return false;
  const { at, strip } = meanings;
  if ((event.key === "Enter" || event.key === " ") && at) {
    handled(event);
    meanings.choose(at, event.shiftKey);
    return true;
  }
  const from = at?.where === "asked" ? at.place : -1;
  const place = keyTarget(event.key, from, meanings.tokens());
  if (place === null) return false;
  handled(event);
  meanings.point({ where: "asked", place, strip }, "key");
  return true;
}

function pointed(event: Event): Pointed | null {
  const { target } = event;
  const strip = target instanceof Element ? target.closest("[data-strip]") : null;
  if (!(strip instanceof HTMLElement)) return null;
  const index = Number(strip.dataset.strip);
  const place = positionOf(event, "position");
  if (place !== null) return { where: "asked", place, strip: index };
  const source = positionOf(event, "source-position");
  return source === null ? null : { where: "source", place: source, strip: index };
}
