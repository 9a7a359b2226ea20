/** PerplexityStrip: the text, each token coloured by how well the model predicted it. */

import { type Control, type LayerProps, layerStepper, segmented } from "../shared/controls";
import { copyAsWritten } from "../shared/copying";
import { fill, h } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { tokenName } from "../shared/names";
import { css, divergingTable, sequentialTable, tableColour } from "../shared/palette";
import { layerNumbers } from "../shared/scene";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { paintToken, type Tokens, type TokenText, tokenText } from "../shared/text";
import { TRACE_TRAITS, type View } from "../shared/view";
import { createCard, type TokenCard } from "./card";
import { comparedCount, comparedWords, differenceScale } from "./compare";
import { type Continuation, createContinuation } from "./continuation";
import { type StripData, sameText, stripData } from "./data";
import { createGestures, type Gestures } from "./gestures";
import { HELP } from "./help";
import { legendNodes } from "./legend";
import { colourScale, flatWords, MEASURE_NAMES, MEASURES } from "./measures";
import { createProfile, type Span } from "./profile";
import { createQuestions } from "./questions";
import { createReadings, type Readings } from "./readings";
import { looksWords, type SourceText, sourceText } from "./source";
import type { Measure, StripState } from "./state";
import { spanLines, statusWords, summaryLines, tokenSentence, wordSentence } from "./words";

const NO_TOKENS = { count: 0, token: () => undefined };

export class PerplexityStripView implements View<StripState> {
  static readonly id = "perplexity-strip";
  static readonly title = "Perplexity strip";
  static readonly traits = {
    ...TRACE_TRAITS,
    measure: true,
    k: true,
    reading: true,
    followed: true,
    trajectory: true,
    lenses: true,
    reading_lens: true,
    temperature: true,
    sample_k: true,
    sample_p: true,
    by_id: true,
    compared: true,
    continued: true,
  } as const;

  readonly #host: Host<StripState>;
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
  readonly #gestures: Gestures;
  readonly #readings: Readings;
  readonly #continuation: Continuation;
  #data: StripData | null = null;
  #span: Span | null = null;
  #text: TokenText | null = null;
  #source: SourceText | null = null;

  constructor(el: HTMLElement, host: Host<StripState>) {
    this.#host = host;
    this.#shell = createShell(el, host, PerplexityStripView, {
      help: HELP,
      onTheme: () => this.#data && this.#paint(),
    });
    const { signal, body, controls } = this.#shell;
    const onSpan = host.can?.("span") === false ? null : (span: Span | null) => this.#brush(span);
    this.#profile = createProfile(
      signal,
      (position) => host.set({ hovered: position }),
      (position) => {
        this.#gestures.pin(position);
        this.#gestures.reveal(position);
      },
      onSpan,
    );
    const tokens = (): Tokens => this.#text ?? NO_TOKENS;
    this.#gestures = createGestures(this.#shell, host, this.#texts, tokens, onSpan);
    copyAsWritten(
      this.#texts,
      () => [this.#text, this.#source?.text].filter((one) => !!one),
      signal,
    );
    this.#questions = createQuestions(host, signal, () => this.#mark());
    controls.append(...(host.pane ? [] : [this.#layers.element]), this.#measures.element);
    const main = h("div", { class: "gh-strip-main" }, this.#texts, this.#profile.element);
    this.#strip = h("div", { class: "gh-strip" }, main, this.#card.element);
    this.#continuation = createContinuation(host, this.#shell);
    this.#readings = createReadings(host, this.#shell, this.#continuation);
    controls.append(this.#readings.choice);
    body.append(this.#continuation.element, this.#strip, this.#readings.panel);
    this.#drawAll();
  }

  update(changed: Partial<StripState>): void {
    if ("frame" in changed || !this.#data) this.#drawAll();
    else if ("measure" in changed || "theme" in changed || "unit" in changed) {
      this.#sync();
      this.#paint();
    } else {
      this.#sync();
      this.#mark();
    }
    if ("selected" in changed) this.#gestures.reveal(this.#host.state.selected.at(-1) ?? -1);
  }

  destroy(): void {
    this.#close();
    this.#shell.destroy();
  }

  #close(): void {
    this.#text?.close();
    this.#source?.text.close();
  }

  // ── Drawing, from the most to the least ─────────────────────────────────────────────────────

  #sync(): void {
    const { state } = this.#host;
    this.#shell.sync(state);
    // Perplexity paints what surprisal does, so it is a choice of its own for Python only.
    const offered = MEASURE_NAMES.filter((name) => name !== "perplexity" || name === state.measure);
    const choices = offered.map((value) => ({ value, label: MEASURES[value].title }));
    const scored = (this.#data?.frame.n_scored ?? 0) > 0;
    this.#measures.update({ choices: scored ? choices : [], value: state.measure });
    this.#layers.element.hidden = this.#data?.frame.source == null;
    const disabled = isFixed(this.#host, "layer");
    this.#layers.update({ layers: layerNumbers(state), layer: state.layer, disabled });
    this.#continuation.update(state);
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
    this.#readings.forget();
    this.#span = null;
    if (!before || !sameText(before.frame, state.frame)) this.#build(this.#data);
    this.#sync();
    this.#paint();
  }

  #build(data: StripData): void {
    const { frame } = data;
    this.#close();
    this.#text = tokenText({ ...frame, ...data }, "position", this.#texts);
    this.#source = frame.source ? sourceText(frame.source, this.#texts) : null;
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
    const { compared } = data;
    const { theme } = this.#shell;
    const table = compared
      ? divergingTable(theme, inks.paper)
      : sequentialTable(MEASURES[measure].knew ? "attention" : "surprisal", theme, inks.paper);
    const own = this.#host.state.unit === "word" ? data.byWord : data.values;
    const values = (compared?.difference ?? own)[measure];
    const scale = compared ? differenceScale(measure, values) : colourScale(measure, values);
    const shares = values.map(scale.share);
    this.#text?.dress((token, i) => {
      const share = shares[i] ?? Number.NaN;
      const known = !Number.isNaN(share);
      paintToken(token, known ? tableColour(table, share) : null);
      token.classList.toggle("is-unscored", !known && data.frame.n_scored > 0);
      token.classList.toggle("is-marked", data.isMarked(i));
    });
    fill(
      this.#shell.legend,
      ...legendNodes(data, measure, scale, table, this.#host.state.unit === "word"),
    );
    const [low, , high] = scale.ticks;
    const ends = [low?.label ?? "", high?.label ?? ""] as const;
    const colour = (share: number): string => css(tableColour(table, share));
    const flat = compared ? "" : flatWords(measure, values, scale);
    const { firstGenerated: generated, scaleEnds: labels } = data;
    const drawn = { shares, zero: compared ? 0.5 : 0, colour, inks, ends, labels, flat, generated };
    this.#profile.draw(drawn, { span: null, hovered: null, selected: new Set() });
    this.#mark();
  }

  /** Hovered and pinned tokens, the card, the light on the source. */
  #mark(): void {
    const data = this.#data;
    if (!data) return;
    const { state } = this.#host;
    const hovered = state.hovered === null ? [] : this.#unitOf(state.hovered);
    const selected = new Set(state.selected.flatMap((position) => this.#unitOf(position)));
    this.#text?.mark("is-hovered", hovered);
    this.#text?.mark("is-selected", selected);
    this.#profile.mark({ span: this.#span, hovered: state.hovered, selected });
    const hoveredSource = state.hovered_source === null ? [] : [state.hovered_source];
    this.#source?.mark(hoveredSource, new Set(state.selected_source));
    const position = state.hovered ?? state.selected.at(-1) ?? null;
    const pointed = position !== null && data.frame.texts[position] !== undefined;
    const { values, frame } = data;
    this.#card.keep({
      values,
      k: state.k,
      looks: frame.source !== null || data.compared !== null || state.unit === "word",
    });
    if (pointed) this.#showToken(data, position);
    else {
      this.#source?.light(null, new Uint8ClampedArray());
      const part = this.#span && this.#questions.span(this.#span);
      this.#card.showSummary(this.#span && part ? spanLines(this.#span, part) : summaryLines(data));
    }
    const count = data.compared && comparedCount(data.compared, frame.texts.length);
    this.#shell.setStatus(count, ...statusWords(data, pointed));
    this.#readings.update(data);
    const { layer, heads } = frame.key;
    const kind = frame.source ? "cross" : state.kind;
    this.#shell.drawn({ layer: layer ?? state.layer, heads, unit: state.unit, kind });
  }

  /** A part of the text is chosen in the profile; its tokens are lined, the card says what they come to. */
  #brush(span: Span | null): void {
    const [start, stop] = span ?? [0, 0];
    const tokens = Array.from({ length: stop - start }, (_, i) => start + i);
    this.#text?.mark("is-brushed", tokens);
    this.#span = span;
    this.#mark();
  }

  /** All tokens of the word that a token belongs to, where the unit is words. */
  #unitOf(position: number): number[] {
    return (this.#host.state.unit === "word" && this.#data?.word(position)) || [position];
  }

  #showToken(data: StripData, position: number): void {
    const { k, measure } = this.#host.state;
    const { frame, values } = data;
    const text = frame.texts[position] ?? "";
    const name = tokenName(frame.texts, position);
    const scored = !Number.isNaN(values.surprisal[position] ?? Number.NaN);
    const weights = frame.source ? this.#questions.source(data, position) : null;
    const table = sequentialTable("attention", this.#shell.theme);
    this.#source?.light(weights instanceof Float32Array ? weights : null, table);
    const beside = data.compared ? comparedWords(data.compared, measure, position) : "";
    const word = this.#host.state.unit === "word" ? wordSentence(data, position) : "";
    const looks =
      weights instanceof Float32Array
        ? `Its row ${looksWords(weights, frame.source?.texts ?? [])}.`
        : (weights ?? (beside || word));
    const tags = [
      ...(data.special[position] ? ["special"] : []),
      ...(data.generated[position] ? ["generated"] : []),
      ...(this.#host.state.selected.includes(position) ? ["pinned"] : []),
    ];
    const card: TokenCard = {
      ...{ position, text, name, tags, values, measure, looks },
      reason: scored ? "" : frame.undefined || "The model has no value here.",
      alternatives: scored ? this.#questions.alternatives(data, position, k) : [],
    };
    this.#card.showToken(card);
    this.#shell.announce(tokenSentence(card));
  }
}
