/** Copying from running text: what was written, and not the marks that stand for it. */

import type { TokenText } from "./text";

/** Lets a selection within `place` be copied as the text that its tokens stand for. */
export function copyAsWritten(
  place: HTMLElement,
  texts: () => readonly TokenText[],
  signal: AbortSignal,
): void {
  const copy = (event: ClipboardEvent): void => {
    const selection = window.getSelection();
    if (!selection?.rangeCount || selection.isCollapsed || !event.clipboardData) return;
    const range = selection.getRangeAt(0);
    const { commonAncestorContainer: common } = range;
    // A part of one token is copied as it stands.
    const inside = common instanceof Element ? common : common.parentElement;
    if (!inside || !place.contains(inside) || inside.closest(".gh-token")) return;
    event.clipboardData.setData("text/plain", written(range, texts()));
    event.preventDefault();
  };
  place.addEventListener("copy", copy, { signal });
}

function written(range: Range, texts: readonly TokenText[]): string {
  const copied = range.cloneContents();
  for (const text of texts) {
    for (const token of copied.querySelectorAll(`[data-${text.attribute}]`)) {
      const position = Number(token.getAttribute(`data-${text.attribute}`));
      // The first and the last may have been selected in part.
      const isWhole = token.textContent === text.token(position)?.textContent;
      if (isWhole) token.textContent = text.written(position);
    }
  }
  // What a view has written into the text was not in it.
  for (const mark of copied.querySelectorAll(".gh-mark, .gh-text-generated, .gh-text-inserted"))
    mark.remove();
  return copied.textContent ?? "";
}
