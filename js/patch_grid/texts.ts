/** Both texts above the grid, with the tokens marked that differ. */

import { unpack } from "../shared/arrays";
import { copyAsWritten } from "../shared/copying";
import { fill, h, mark } from "../shared/dom";
import type { LitTokens } from "../shared/lit";
import { positionOf, type TokenText, tokenText } from "../shared/text";
import type { PatchData } from "./data";
import type { PatchText } from "./state";

export interface Texts {
  readonly element: HTMLElement;
  fill(data: PatchData): void;
  light(lit: LitTokens): void;
  /** What scrolls can be reached by keyboard; where it is laid out. */
  measure(): void;
}

interface Actions {
  hover(position: number | null): void;
  pin(position: number): void;
}

const RUNS = ["clean", "corrupted"] as const;

export function createTexts({ hover, pin }: Actions, signal: AbortSignal): Texts {
  const element = h("div", {
    class: "pg-texts",
    attrs: { role: "group" },
    aria: { label: "Texts" },
  });
  let texts: TokenText[] = [];
  const at = (event: Event): number | null => {
    const found = RUNS.map((run) => positionOf(event, `${run}-position`));
    return found.find((position) => position !== null) ?? null;
  };
  element.addEventListener("pointermove", (event) => hover(at(event)), { signal });
  element.addEventListener("pointerleave", () => hover(null), { signal });
  const click = (event: Event): void => {
    const position = at(event);
    // A text that is being selected is not clicked.
    if (position !== null && window.getSelection()?.isCollapsed !== false) pin(position);
  };
  element.addEventListener("click", click, { signal });
  copyAsWritten(element, () => texts, signal);
  signal.addEventListener("abort", () => {
    for (const text of texts) text.close();
  });
  return {
    element,
    fill({ frame, differing }) {
      for (const text of texts) text.close();
      texts = RUNS.map((run) => textOf(frame[run], `${run}-position`, element));
      for (const text of texts) text.mark("is-different", differing);
      const lines = texts.flatMap((text, i) => [
        h("div", { class: "gh-caption" }, i === 0 ? "Clean" : "Corrupted"),
        text.element,
      ]);
      fill(element, ...lines);
    },
    measure() {
      const scrolls = element.scrollHeight > element.clientHeight + 1;
      mark(element, "tabindex", scrolls ? "0" : null);
    },
    light({ hovered, selected }) {
      for (const text of texts) {
        text.mark("is-hovered", hovered === null ? [] : [hovered]);
        text.mark("is-selected", selected);
      }
    },
  };
}

function textOf(of: PatchText, attribute: string, scroller: Element): TokenText {
  const special = unpack(of.special);
  return tokenText({ ...of, special, generated: [] }, attribute, scroller);
}
