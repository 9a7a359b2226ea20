/** How the score of one key comes about, step by step. */

import { fill, h, style } from "../shared/dom";
import { formatWeight } from "../shared/numbers";
import { css } from "../shared/palette";
import { exact, signed } from "../shared/signed_numbers";
import type { Look } from "./heading";
import type { QueryKeyPicture } from "./picture";
import type { Cells } from "./products";
import { type Step, stepsOf } from "./steps";

export interface CardProps {
  readonly picture: QueryKeyPicture;
  readonly look: Look;
  readonly lane: number;
  readonly key: number;
  /** Why it is this one, where nobody has chosen it. */
  readonly why: string;
  readonly cells: Cells | null;
  /** What is said where there are no products. */
  readonly failure: string;
}

export interface Card {
  readonly element: HTMLElement;
  update(props: CardProps): void;
}

/** Dimensions of each sign that have a line of their own. */
const MOST = { narrow: 4, usual: 6 };
/** Pixels of a line, as in the style sheet, with the room around totals. */
const LINE = 20;

export function scoreCard(onDim: (dim: number | null) => void): Card {
  const title = h("div", { class: "qk-card-title" });
  const why = h("div", { class: "qk-card-why" });
  const list = h("ol", { class: "qk-steps" });
  const element = h(
    "aside",
    { class: "qk-card", aria: { label: "How the score comes about" } },
    h("div", { class: "qk-card-heading" }, title, why),
    list,
  );
  list.addEventListener("pointerover", (event) => {
    const step = event.target instanceof Element ? event.target.closest("[data-dim]") : null;
    onDim(step instanceof HTMLElement ? Number(step.dataset.dim) : null);
  });
  list.addEventListener("pointerleave", () => onDim(null));
  return {
    element,
    update(props) {
      const { picture, look, lane, key, why: reason } = props;
      const { data } = picture;
      const head = data.heads[lane] ?? 0;
      const several = data.heads.length > 1;
      element.dataset.key = String(key);
      element.dataset.head = String(head);
      fill(
        title,
        h("bdi", {}, picture.queryName),
        h("span", { class: "qk-arrow" }, " looks at "),
        h("bdi", {}, picture.keyName(key)),
        several &&
          h(
            "span",
            { class: "qk-card-head", style: { "--head": css(look.colour(head)) } },
            `head ${head}`,
          ),
      );
      why.textContent = reason;
      fill(list, ...lines(props));
      // Another key may have fewer steps: what stands below stays where it is.
      style(list, "min-height", `${LINE * mostLines(props)}px`);
    },
  };
}

function mostOf({ look }: CardProps): number {
  return look.layout.isNarrow ? MOST.narrow : MOST.usual;
}

/** As many lines as any key may have. */
function mostLines(props: CardProps): number {
  const { dims, frame } = props.picture.data;
  const steps = frame.capped || frame.bias ? [true, frame.capped, frame.bias] : [];
  const totals = steps.filter(Boolean).length + 2;
  return Math.min(dims, 2 * (mostOf(props) + 1)) + totals;
}

function lines(props: CardProps): HTMLElement[] {
  const { picture, lane, key, cells, failure } = props;
  const { data } = picture;
  if (data.isHidden(lane, key)) return [words("It may not look there: there is no score.")];
  if (!cells) return [words(failure || "The products are on their way.")];
  const parts = data.parts(lane, key);
  const steps = stepsOf(parts, cells, { lane, dims: data.dims, most: mostOf(props) });
  const ends = steps.flatMap(({ from, to }) => [from, to]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const place = (value: number): number => (100 * (value - low)) / (high - low || 1);
  const share = Number.isFinite(parts.weight) ? Math.min(1, parts.weight) : 0;
  return [
    ...steps.map((step) => stepLine(props, step, place)),
    line("weight", "weight", formatWeight(parts.weight), {
      bar: { start: 0, length: 100 * share },
      title: "The softmax over all keys makes this share of it",
    }),
  ];
}

function words(text: string): HTMLElement {
  return h("li", { class: "qk-step-words" }, text);
}

function stepLine(
  { picture, lane, cells }: CardProps,
  step: Step,
  place: (value: number) => number,
): HTMLElement {
  const { kind, dim, from, to, value } = step;
  const [start, end] = [Math.min(place(from), place(to)), Math.max(place(from), place(to))];
  const isTotal = kind === "sum" || kind === "score";
  const tone = kind === "cap" || kind === "bias" || isTotal ? (value < 0 ? "down" : "up") : kind;
  const { data } = picture;
  const scaling = data.frame.scaling === 1 ? "" : `${exact(data.frame.scaling)} × `;
  const title =
    dim === null || !cells
      ? ""
      : `${scaling}q ${exact(data.query(lane, dim))} × k ${exact(cells.key(lane, dim))}`;
  const element = line(kind, nameOf(step, data.frame.bias_words), signed(value), {
    bar: { start, length: end - start, zero: place(0) },
    ...{ title, tone },
  });
  if (dim !== null) element.dataset.dim = String(dim);
  return element;
}

function nameOf({ kind, dim, count }: Step, bias: string): string {
  switch (kind) {
    case "up":
      return dim === null ? `${count} others raise` : `dimension ${dim}`;
    case "down":
      return dim === null ? `${count} others lower` : `dimension ${dim}`;
    case "sum":
      return "= sum";
    case "cap":
      return "soft-cap";
    case "bias":
      return bias || "position bias";
    case "score":
      return "= score";
  }
}

interface Line {
  readonly bar: { start: number; length: number; zero?: number };
  readonly title?: string;
  readonly tone?: string;
}

function line(kind: string, name: string, value: string, { bar, title, tone }: Line): HTMLElement {
  const zero =
    bar.zero !== undefined && h("b", { class: "qk-zero", style: { left: `${bar.zero}%` } });
  return h(
    "li",
    { class: `qk-step is-${kind}`, attrs: title ? { title } : {}, data: { step: kind } },
    h("span", { class: "qk-step-name" }, name),
    h(
      "span",
      { class: "qk-step-track", aria: { hidden: true } },
      zero,
      h("i", {
        class: tone ? `is-${tone}` : "is-weight",
        style: { left: `${bar.start}%`, width: `${bar.length}%` },
      }),
    ),
    h("span", { class: "qk-step-value" }, value),
  );
}
