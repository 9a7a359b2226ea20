/** The text once for one target: coloured by what counted for it, with the target marked in it. */

import { type Child, fill, h, hide, mark } from "../shared/dom";
import type { Paint } from "../shared/map/signed";
import { paintToken, type TokenText, tokenText } from "../shared/text";
import { show } from "../shared/token_text";
import type { AttributionData } from "./data";
import { colourOf } from "./scale";
import type { Target } from "./state";
import { textHeading, trimmed } from "./words";

export interface LitPlaces {
  /** Of the text that can be asked; its length = what comes behind it. */
  readonly hovered: number | null;
  readonly selected: Iterable<number>;
  /** Of a source. */
  readonly hoveredSource: number | null;
  readonly selectedSource: Iterable<number>;
}

export interface Strip {
  readonly element: HTMLElement;
  /** What stands over the text. */
  readonly heading: HTMLElement;
  /** What stands under it. */
  readonly facts: HTMLElement;
  readonly texts: readonly TokenText[];
  /** The token at a place of the text that can be asked, or what stands for the one behind it. */
  token(place: number): HTMLElement | undefined;
  paint(data: AttributionData, paint: Paint): void;
  light(lit: LitPlaces): void;
  close(): void;
}

export function createStrip(data: AttributionData, index: number, scroller: HTMLElement): Strip {
  const last = data.texts.length - 1;
  const texts = data.texts.map(({ input, special, generated }, i) => {
    const attribute = i === last ? "position" : "source-position";
    return tokenText({ ...input, special, generated }, attribute, scroller);
  });
  const asked = texts[last] as TokenText;
  const behind = h("span", {
    class: "gh-token gh-text-inserted as-behind",
    data: { position: asked.count },
  });
  const instead = h("span", { class: "gh-token gh-text-inserted as-target" });
  const [heading, facts] = [h("div", { class: "as-heading" }), h("div")];
  const blocks = texts.flatMap((text, i): Child[] => {
    const over = textHeading(data.texts[i]?.input.sequence ?? "text");
    return [over && h("div", { class: "gh-caption" }, over), text.element];
  });
  if (data.canAsk(asked.count)) asked.token(asked.count - 1)?.after(behind);
  return {
    element: h("div", { class: "as-strip", data: { strip: index } }, heading, ...blocks, facts),
    ...{ heading, facts },
    texts,
    token: (place) => (place === asked.count ? behind : asked.token(place)),
    paint(now, paint) {
      const target = now.frame.targets[index];
      if (!target) return;
      for (const [i, text] of texts.entries()) {
        text.dress((token, position) => {
          const isTarget = i === last && position === target.place;
          const later = now.isLater(index, i, position);
          const unit = later ? null : (now.texts[i]?.unitOf(position) ?? null);
          const value = unit === null ? Number.NaN : now.value(index, { text: i, unit });
          paintToken(token, Number.isNaN(value) ? null : colourOf(paint, value));
          token.classList.toggle("as-target", isTarget && target.came);
          token.classList.toggle("is-replaced", isTarget && !target.came);
          token.classList.toggle("is-later", later && !(isTarget && target.came));
        });
      }
      markTarget(target, asked, { behind, instead });
    },
    light({ hovered, selected, hoveredSource, selectedSource }) {
      asked.mark("is-hovered", hovered === null ? [] : [hovered]);
      behind.classList.toggle("is-hovered", hovered === asked.count);
      asked.mark("is-selected", selected);
      if (last === 0) return;
      texts[0]?.mark("is-hovered", hoveredSource === null ? [] : [hoveredSource]);
      texts[0]?.mark("is-selected", selectedSource);
    },
    close() {
      for (const text of texts) text.close();
    },
  };
}

/** A target that does not stand in the text is written into it. */
function markTarget(
  { place, came, token }: Target,
  asked: TokenText,
  { behind, instead }: { behind: HTMLElement; instead: HTMLElement },
): void {
  const isBehind = place === asked.count;
  behind.classList.toggle("as-target", isBehind);
  fill(behind, ...(isBehind ? [show(trimmed(token.text))] : ["next"]));
  mark(
    behind,
    "title",
    isBehind ? "What the model expects here" : "Ask what comes behind the text",
  );
  const isInstead = !isBehind && !came;
  if (isInstead) {
    fill(instead, show(trimmed(token.text)));
    asked.token(place)?.before(instead);
  } else instead.remove();
  hide(instead, !isInstead);
}
