/** PerplexityStrip: the text, each token coloured by how well the model predicted it. */

import { type Control, type LayerProps, layerStepper, segmented } from "../shared/controls";
import { type Child, fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys, handled, inField } from "../shared/keys";
import { toggled } from "../shared/lit";
import { formatCount, percent } from "../shared/numbers";
import { css, sequentialTable, tableColour } from "../shared/palette";
import { layerNumbers } from "../shared/scene";
import { createShell, type Shell } from "../shared/shell";
import { hasAxes, hasFrame } from "../shared/state";
import { quote } from "../shared/token_text";
import type { View } from "../shared/view";
import { createCard, type TokenCard, tieWords } from "./card";
import { type StripData, sameText, stripData } from "./data";
import { HELP } from "./help";
import { legendNodes } from "./legend";
import { colourScale, flatWords, formatValue, MEASURE_NAMES, MEASURES } from "./measures";
import { createProfile } from "./profile";
import { createQuestions } from "./questions";
import { looksWords, type SourceText, sourceText } from "./source";
import type { Measure, StripState } from "./state";
import {
  moveClass,
  neighbourLine,
  paintToken,
  positionOf,
  type TokenText,
  tokenText,
} from "./text";

export class PerplexityStripView implements View<StripState> {
  static readonly id = "perplexity-strip";
  static readonly title = "Perplexity strip";
  static readonly traits = { measure: true, k: true } as const;

  readonly #shell: Shell;
  readonly #measures = segmented<Measure>("Measure", "measure", (measure) =>
    this.#host.set({ measure }),
  );
  readonly #layers: Control<LayerProps> = layerStepper((layer) => this.#host.set({ layer }));
  readonly #texts = h("div", {
    class: "gh-strip-scroller",
    attrs: { role: "group", tabindex: 0 },
  });
  readonly #card = createCard();
  readonly #strip: HTMLElement;
  readonly #profile;
  readonly #questions;
  #data: StripData | null = null;
  #text: TokenText = { element: h("div"), tokens: [] };
  #source: SourceText | null = null;
  #lit: { hovered: number[]; selected: Set<number> } = { hovered: [], selected: new Set() };

  readonly #host: Host<StripState>;

  constructor(el: HTMLElement, host: Host<StripState>) {
    this.#host = host;
    this.#shell = createShell(el, host, PerplexityStripView, {
      help: HELP,
      onTheme: () => this.#data && this.#paint(),
    });
    const { signal, body, controls, root } = this.#shell;
    this.#profile = createProfile(
      signal,
      (position) => host.set({ hovered: position }),
      (position) => this.#pin(position, true),
    );
    this.#questions = createQuestions(host, signal, () => this.#mark());
    controls.append(this.#layers.element, this.#measures.element);
    const main = h("div", { class: "gh-strip-main" }, this.#texts, this.#profile.element);
    this.#strip = h("div", { class: "gh-strip" }, main, this.#card.element);
    body.append(this.#strip);
    this.#listen(root, signal);
    this.#drawAll();
  }

  update(changed: Partial<StripState>): void {
    if ("frame" in changed || !this.#data) this.#drawAll();
    else if ("measure" in changed || "theme" in changed) {
      this.#sync();
      this.#paint();
    } else {
      this.#sync();
      this.#mark();
    }
    if ("selected" in changed) this.#reveal(this.#host.state.selected.at(-1) ?? -1);
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── Drawing, from the most to the least ─────────────────────────────────────────────────────

  #sync(): void {
    const { state } = this.#host;
    this.#shell.sync(state);
    const choices = MEASURE_NAMES.map((value) => ({ value, label: MEASURES[value].title }));
    const scored = (this.#data?.frame.n_scored ?? 0) > 0;
    this.#measures.update({ choices: scored ? choices : [], value: state.measure });
    this.#layers.element.hidden = this.#data?.frame.source == null;
    this.#layers.update({ layers: layerNumbers(state), layer: state.layer });
  }

  /** A new frame: its text, colours and marks. */
  #drawAll(): void {
    const { state } = this.#host;
    if (!hasFrame(state.frame)) {
      this.#sync();
      return;
    }
    const before = this.#data;
    this.#data = stripData(state.frame);
    this.#questions.forget();
    if (!before || !sameText(before.frame, state.frame)) this.#build(this.#data);
    this.#sync();
    this.#paint();
  }

  #build(data: StripData): void {
    const { frame } = data;
    this.#text = tokenText({ ...frame, ...data }, "position");
    this.#source = frame.source ? sourceText(frame.source) : null;
    this.#lit = { hovered: [], selected: new Set() };
    const heading =
      this.#source && h("div", { class: "gh-caption" }, "Target, as it was predicted");
    const words = frame.n_scored === 0 && h("p", { class: "gh-strip-words" }, frame.undefined);
    fill(this.#texts, words, this.#source?.element, heading, this.#text.element);
    this.#texts.setAttribute("aria-label", `Text of ${frame.texts.length} tokens`);
    // Without predictions there is nothing to draw along the text, nor to say of a token.
    this.#strip.classList.toggle("is-plain", frame.n_scored === 0);
    for (const part of [this.#profile.element, this.#card.element])
      part.hidden = frame.n_scored === 0;
  }

  #paint(): void {
    const data = this.#data;
    if (!data) return;
    const { measure } = this.#host.state;
    const inks = this.#shell.inks();
    const table = sequentialTable("surprisal", this.#shell.theme, inks.paper);
    const values = data.values[measure];
    const scale = colourScale(measure, values);
    const shares = values.map(scale.share);
    for (const [i, token] of this.#text.tokens.entries()) {
      const share = shares[i] ?? Number.NaN;
      const known = !Number.isNaN(share);
      paintToken(token, known ? tableColour(table, share) : null);
      token.classList.toggle("is-unscored", !known && data.frame.n_scored > 0);
      token.classList.toggle("is-wrong", data.isWrong(i));
    }
    fill(this.#shell.legend, ...legendNodes(data, measure, scale, table));
    const [low, , high] = scale.ticks;
    const ends = [low?.label ?? "", high?.label ?? ""] as const;
    const colour = (share: number): string => css(tableColour(table, share));
    const flat = flatWords(measure, values, scale);
    const drawn = { shares, colour, inks, ends, flat, generated: data.firstGenerated };
    this.#profile.draw(drawn, { hovered: null, selected: new Set() });
    this.#mark();
  }

  /** Hovered and pinned tokens, the card, the light on the source. */
  #mark(): void {
    const data = this.#data;
    if (!data) return;
    const { state } = this.#host;
    const hovered = state.hovered === null ? [] : this.#unitOf(state.hovered);
    const selected = new Set(state.selected.flatMap((position) => this.#unitOf(position)));
    moveClass(this.#text.tokens, "is-hovered", this.#lit.hovered, hovered);
    moveClass(this.#text.tokens, "is-selected", this.#lit.selected, selected);
    this.#lit = { hovered, selected };
    this.#profile.mark({ hovered: state.hovered, selected });
    const hoveredSource = state.hovered_source === null ? [] : [state.hovered_source];
    this.#source?.mark(hoveredSource, new Set(state.selected_source));
    const position = state.hovered ?? state.selected.at(-1) ?? null;
    const pointed = position !== null && data.frame.texts[position] !== undefined;
    const { values, frame } = data;
    this.#card.keep({ values, k: state.k, looks: frame.source !== null });
    if (pointed) this.#showToken(data, position);
    else this.#showSummary(data);
    this.#shell.setStatus(...this.#statusWords(data, pointed));
    const { layer, heads } = frame.key;
    const kind = frame.source ? "cross" : state.kind;
    this.#shell.drawn({ layer: layer ?? state.layer, heads, unit: state.unit, kind });
  }

  /** All tokens of the word that a token belongs to, where the unit is words. */
  #unitOf(position: number): number[] {
    const { axes, unit } = this.#host.state;
    if (unit !== "word" || !hasAxes(axes)) return [position];
    return this.#questions.wordOf(axes, this.#data?.frame.sequence ?? "text", position);
  }

  #showSummary(data: StripData): void {
    const { n_scored, perplexity, texts } = data.frame;
    this.#source?.light(null, new Uint8ClampedArray());
    const right = percent(n_scored > 0 ? 1 - data.nWrong / n_scored : Number.NaN);
    const figure = (value: string, words: string): Child =>
      h("span", { class: "gh-strip-figure" }, h("strong", {}, value), words);
    const lines = [
      figure(formatValue("perplexity", perplexity ?? Number.NaN), "perplexity of the text"),
      figure(right, "of its tokens were the model’s first guess"),
      `${formatCount(n_scored)} of ${formatCount(texts.length)} tokens scored`,
    ];
    this.#card.showSummary(lines);
  }

  #showToken(data: StripData, position: number): void {
    const { k, measure } = this.#host.state;
    const { frame, values } = data;
    const text = frame.texts[position] ?? "";
    const scored = !Number.isNaN(values.surprisal[position] ?? Number.NaN);
    const weights = frame.source ? this.#questions.source(data, position) : null;
    const table = sequentialTable("attention", this.#shell.theme);
    this.#source?.light(weights instanceof Float32Array ? weights : null, table);
    const looks =
      weights instanceof Float32Array
        ? `Its row ${looksWords(weights, frame.source?.texts ?? [])}.`
        : (weights ?? "");
    const tags = [
      ...(data.special[position] ? ["special"] : []),
      ...(data.generated[position] ? ["generated"] : []),
      ...(this.#host.state.selected.includes(position) ? ["pinned"] : []),
    ];
    const card: TokenCard = {
      ...{ position, text, tags, values, measure, looks },
      reason: scored ? "" : frame.undefined || "The model has no value here.",
      alternatives: scored ? this.#questions.alternatives(data, position, k) : [],
    };
    this.#card.showToken(card);
    const numbers = scored
      ? `${formatValue("surprisal", values.surprisal[position] ?? 0)}, probability ` +
        `${percent(values.probability[position] ?? 0)}, rank ` +
        formatValue("rank", values.rank[position] ?? 0) +
        tieWords(card.alternatives, values.rank[position] ?? 0, ", shared with ")
      : frame.undefined;
    this.#shell.announce(`token ${position} ${quote(text)}: ${numbers}. ${looks}`);
  }

  /** What the card does not say: the text's numbers beside a token's, else what can be done. */
  #statusWords(data: StripData, pointed: boolean): Child[] {
    const { n_scored, perplexity, texts, note } = data.frame;
    if (n_scored === 0 || perplexity === null) return [note];
    const hint = "Point at a token for its numbers and what the model expected; a click pins it.";
    if (!pointed) return [`${hint} ${note}`];
    return [
      "Perplexity ",
      h("strong", {}, formatValue("perplexity", perplexity)),
      ` over ${formatCount(n_scored)} scored of ${formatCount(texts.length)} tokens. ${note}`,
    ];
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  #listen(root: HTMLElement, signal: AbortSignal): void {
    const host = this.#host;
    const texts = this.#texts;
    texts.addEventListener(
      "pointerover",
      (event) => {
        host.set({
          hovered: positionOf(event, "position"),
          hovered_source: positionOf(event, "source-position"),
        });
      },
      { signal },
    );
    const leave = (): void => host.set({ hovered: null, hovered_source: null });
    texts.addEventListener("pointerleave", leave, { signal });
    texts.addEventListener("click", (event) => this.#click(event), { signal });
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  #click(event: MouseEvent): void {
    // The end of a text selection is not a wish to pin.
    if (window.getSelection()?.isCollapsed === false) return;
    const position = positionOf(event, "position");
    if (position !== null) this.#pin(position, false);
    const source = positionOf(event, "source-position");
    if (source !== null) {
      this.#host.set({ selected_source: toggled(this.#host.state.selected_source, source) });
    }
  }

  #pin(position: number, reveal: boolean): void {
    this.#host.set({ selected: toggled(this.#host.state.selected, position) });
    if (reveal) this.#reveal(position);
  }

  #key(event: KeyboardEvent): void {
    if (commonKeys(event, this.#host) || inField(event)) return;
    const position = this.#host.state.hovered ?? this.#host.state.selected.at(-1) ?? -1;
    const next = this.#moved(event.key, position);
    if (next !== null) {
      handled(event);
      this.#host.set({ hovered: next });
      this.#reveal(next);
    } else if ((event.key === "Enter" || event.key === " ") && event.target === this.#texts) {
      handled(event);
      if (position >= 0) this.#pin(position, false);
    }
  }

  #moved(key: string, position: number): number | null {
    const last = this.#text.tokens.length - 1;
    const clamp = (to: number): number => Math.min(last, Math.max(0, to));
    if (key === "ArrowRight") return clamp(position + 1);
    if (key === "ArrowLeft") return clamp(position - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key !== "ArrowDown" && key !== "ArrowUp") return null;
    const tokens = this.#text.tokens;
    return neighbourLine(tokens, clamp(position), key === "ArrowDown" ? 1 : -1) ?? clamp(position);
  }

  /** Scrolls a long text until the token shows; the page itself is left alone. */
  #reveal(position: number): void {
    const token = this.#text.tokens[position];
    const texts = this.#texts;
    if (!token || texts.scrollHeight <= texts.clientHeight) return;
    const [box, frame] = [token.getBoundingClientRect(), texts.getBoundingClientRect()];
    if (box.top < frame.top) texts.scrollTop += box.top - frame.top;
    else if (box.bottom > frame.bottom) texts.scrollTop += box.bottom - frame.bottom;
  }
}
