/** The texts: one for each target, with what is asked over it and what its numbers come to below. */

import { copyAsWritten } from "../shared/copying";
import { button, fill, h, mark } from "../shared/dom";
import type { Host } from "../shared/host/host";
import type { Paint } from "../shared/map/signed";
import { scrollTo } from "../shared/text";
import { type AttributionData, sameTexts } from "./data";
import type { Picker } from "./question";
import type { AttributionState, Target } from "./state";
import { createStrip, type LitPlaces, type Strip } from "./strip";
import { capital, sumWords, targetName, valueWords, whereWords } from "./words";

export interface Strips {
  /** What scrolls. */
  readonly element: HTMLElement;
  /** Writes texts and headings anew where they are others, and colours them. */
  draw(data: AttributionData, paint: Paint): void;
  light(lit: LitPlaces): void;
  strip(index: number): Strip | undefined;
  /** Scrolls a long text until a token of a strip shows. */
  reveal(index: number, place: number): void;
  close(): void;
}

export function createStrips(
  host: Host<AttributionState>,
  picker: Picker,
  signal: AbortSignal,
): Strips {
  const element = h("div", { class: "as-texts", attrs: { role: "group", tabindex: 0 } });
  let strips: Strip[] = [];
  let shown: AttributionData | null = null;
  const close = (): void => {
    for (const strip of strips) strip.close();
  };
  const letGo = (position: number): void =>
    host.set({ targets: host.state.targets.filter((one) => one !== position) });
  copyAsWritten(element, () => strips.flatMap(({ texts }) => texts), signal);
  return {
    element,
    draw(data, paint) {
      const { frame } = data;
      if (!shown || !sameTexts(shown.frame, frame)) {
        close();
        strips = frame.targets.map((_, index) => createStrip(data, index, element));
        fill(element, ...strips.map((strip) => strip.element));
      }
      shown = data;
      const n = data.asked.input.texts.length;
      mark(element, "aria-label", `Text of ${n} tokens, ${frame.targets.length} times`);
      picker.update(data);
      for (const [index, strip] of strips.entries()) {
        const target = frame.targets[index];
        if (!target) continue;
        const isCurrent = index === frame.current;
        strip.element.classList.toggle("is-current", isCurrent && strips.length > 1);
        const over = isCurrent
          ? picker.element
          : keptHeading(data, target, () => letGo(target.position));
        // A list that is open stays so.
        if (strip.heading.firstElementChild !== over) fill(strip.heading, over);
        strip.paint(data, paint);
        fill(strip.facts, ...facts(target));
      }
    },
    light(lit) {
      for (const strip of strips) strip.light(lit);
    },
    strip: (index) => strips[index],
    reveal(index, place) {
      scrollTo(element, strips[index]?.token(place));
    },
    close,
  };
}

/** What stands over a target that was kept. */
function keptHeading(data: AttributionData, target: Target, letGo: () => void): HTMLElement {
  const away = button(
    "gh-button gh-round",
    letGo,
    { aria: { label: `Let go of ${targetName(target)}` }, data: { action: "let-go" } },
    "×",
  );
  const where = h("span", { class: "gh-caption as-where" }, whereWords(data, target));
  const name = h("bdi", { class: "as-name" }, targetName(target));
  return h("div", { class: "as-question" }, h("b", {}, "Why"), name, where, away);
}

/** What the numbers of a target come to; loud where they do not add up. */
function facts(target: Target): HTMLElement[] {
  const isLoud = target.completeness?.too_large ?? false;
  const words = `${capital(valueWords(target))}. ${sumWords(target)}`;
  return [
    h(
      "p",
      { class: isLoud ? "as-facts is-loud" : "as-facts", attrs: isLoud ? { role: "note" } : {} },
      words,
    ),
  ];
}
