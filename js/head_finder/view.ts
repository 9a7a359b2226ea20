/** HeadFinder: all layers and heads at a glance; a click goes to the head. */

import { h, watchSize } from "../shared/dom";
import { type Host, whyNoKernel } from "../shared/host/host";
import { createQuestion, type Question } from "../shared/host/question";
import { commonKeys, handled, inField } from "../shared/keys";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { headCard } from "./card";
import { type Controls, finderControls } from "./controls";
import {
  type FinderData,
  finderData,
  type Head,
  type Metric,
  metricNamed,
  passes,
  shownHeads,
} from "./data";
import { HELP, HELP_OF_MANY } from "./help";
import { gridLayout, listLayout } from "./layout";
import { finderLegend } from "./legend";
import { type Atlas, createAtlas, type Large, paintTiles } from "./painting";
import type { Picture } from "./picture";
import { createPlot } from "./plot";
import { missingWords, type Scatter, scatterPicture } from "./scatter";
import { type FinderState, hasTypical, WHICH } from "./state";
import { strongestTable } from "./strongest";
import { tilesPicture } from "./tiles";
import { typicalPanel } from "./typical";
import { type TypicalData, typicalData } from "./typical_rows";
import { caption, headWords, modeOf, shortValue, summary } from "./words";

/** Width from which on the card stands beside the heads. */
const BESIDE_FROM = 620;
const CARD = { usual: 224, wide: 288, corpus: 312 };
const WIDE_FROM = 1100;
/** Pixels that the words of a card take. */
const NUMBERS = 200;
const GAP = 24;
/** Height of the heads from which on rows are beside them, and what those take. */
const TALL = 420;
const ROWS_BESIDE = 500;
/** Milliseconds that a head is looked at before it is asked for in more detail. */
const DWELL = 150;

export class HeadFinderView implements View<FinderState> {
  static readonly id = "head-finder";
  static readonly title = "Head finder";
  static readonly traits = {
    ...TRACE_TRAITS,
    mode: true,
    metric: true,
    second_metric: true,
    more_metrics: true,
    sort: true,
    by: true,
    at_least: true,
    at_most: true,
    only_layers: true,
    only_heads: true,
    typical: true,
  } as const;

  readonly #host: Host<FinderState>;
  readonly #shell: Shell;
  readonly #controls: Controls;
  readonly #plot = createPlot();
  readonly #card = headCard();
  readonly #strongest = strongestTable();
  readonly #rows = typicalPanel();
  readonly #nothing = h("p", { class: "hf-nothing" });
  readonly #large: Question<{ layer: number; head: number }, Large>;
  #data: FinderData | null = null;
  #atlas: Atlas | null = null;
  #typical: TypicalData | null = null;
  #picture: Picture | null = null;
  #scatter: Scatter | null = null;
  #shown: readonly Head[] = [];
  /** The head under the pointer, or that keys are at. */
  #pointed: Head | null = null;
  /** What is said where nothing is pointed at. */
  #words = "";
  #width = 0;
  #dwell = 0;

  constructor(el: HTMLElement, host: Host<FinderState>) {
    this.#host = host;
    this.#shell = createShell(el, host, HeadFinderView, {
      help: HELP,
      picture: () => ({ caption: this.#data ? caption(this.#data, host.state) : "" }),
      onTheme: () => this.#data && this.#draw(),
    });
    const { body, controls, root, signal } = this.#shell;
    this.#controls = finderControls(host);
    this.#large = createQuestion(host, signal, {
      name: "pattern",
      read: ({ result, arrays }, asked) => {
        const { layer, head, kind, unit } = result;
        const { values, sinks } = arrays;
        const { state } = host;
        const fits = layer === asked.layer && head === asked.head && kind === state.kind;
        if (!values || !sinks || !fits || unit !== state.unit) return null;
        const [height = 0, width = 0] = values.shape;
        return { values: values.values, sinks: sinks.values, width, height };
      },
      onReply: () => this.#showCard(),
    });
    controls.append(...this.#controls.header);
    body.classList.add("hf-body");
    const heads = h(
      "div",
      { class: "hf-heads" },
      this.#nothing,
      this.#plot.element,
      this.#strongest.element,
    );
    const columns = h(
      "div",
      { class: "hf-columns" },
      ...[heads, this.#card.element, this.#rows.element],
    );
    body.append(this.#controls.bar, columns);
    this.#listen(root, signal);
    host.onStatus(() => this.#data || this.#draw(), signal);
    watchSize(body, () => body.clientWidth !== this.#width && this.#draw(), signal);
    signal.addEventListener("abort", () => window.clearTimeout(this.#dwell));
    this.update({});
  }

  update(changed: Partial<FinderState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    if (any("frame")) this.#takeFrame();
    if (any("typical")) {
      this.#typical = hasTypical(state.typical) ? typicalData(state.typical) : null;
    }
    this.#shell.sync(state);
    this.#controls.update(this.#data);
    if (any("frame", "mode", "metric", "second_metric", "height", ...WHICH)) this.#draw();
    else if (any("busy") && !this.#data) this.#draw();
    else if (any("layer", "heads")) this.#select();
    else if (any("typical")) this.#showTypical();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  #takeFrame(): void {
    const { frame } = this.#host.state;
    this.#data = hasFrame(frame) ? finderData(frame) : null;
    this.#atlas = null;
    this.#pointed = null;
    this.#large.forget();
    const [many, drawn] = [this.#data?.frame.corpus, this.#data?.drawn ?? true];
    this.#shell.setHelp([...(drawn ? HELP : []), ...(many ? HELP_OF_MANY : [])]);
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  #draw(): void {
    const data = this.#data;
    const { body } = this.#shell;
    // Taken out of the page (a notebook does so with cells that are far away): the last width holds.
    this.#width = body.clientWidth || this.#width;
    this.#plot.element.hidden = this.#card.element.hidden = data === null;
    this.#rows.element.hidden = !data?.frame.corpus;
    this.#nothing.hidden = data !== null;
    if (!data) {
      this.#nothing.textContent = nothingWords(this.#host);
      this.#shell.drawn(this.#host.state);
      return;
    }
    const { theme } = this.#shell;
    const stale = this.#atlas?.data !== data || this.#atlas.theme !== theme;
    const atlas = stale || !this.#atlas ? createAtlas(data, theme) : this.#atlas;
    this.#atlas = atlas;
    const beside = this.#width >= BESIDE_FROM;
    const wide = this.#width >= WIDE_FROM;
    body.classList.toggle("is-beside", beside);
    body.classList.toggle("is-wide", wide);
    body.classList.toggle("is-corpus", data.frame.corpus !== undefined);
    const down = this.#roomDown();
    const low = down > 0 && down < CARD.usual + NUMBERS;
    body.classList.toggle("is-low", low);
    this.#card.setScrolls(low);
    this.#shown = shownHeads(data, this.#host.state);
    const room = beside ? this.#width - cardWidth(data, wide) - GAP : this.#width;
    let more = this.#drawHeads(data, atlas, room);
    // Below many heads nobody would see rows: they stand beside them.
    const tall = wide && data.frame.corpus !== undefined && (this.#picture?.height ?? 0) > TALL;
    body.classList.toggle("is-tall", tall);
    if (tall) more = this.#drawHeads(data, atlas, this.#width - ROWS_BESIDE - 2 * GAP);
    const { note, corpus } = data.frame;
    const counted = summary(data, this.#host.state, this.#shown);
    this.#words = [counted, more, note, corpus?.note].filter(Boolean).join(" ");
    this.#plot.name(`Heads of ${this.#host.state.scene.model ?? "the model"}. ${this.#words}`);
    this.#strongest.update(metricNamed(data, this.#host.state.metric), this.#shown);
    this.#shell.legend.replaceChildren(...finderLegend(data, atlas, this.#host.state));
    this.#select();
  }

  #drawHeads(data: FinderData, atlas: Atlas, room: number): string {
    const width = Math.max(120, room);
    return this.#host.state.mode === "scatter"
      ? this.#drawScatter(data, atlas, width)
      : this.#drawTiles(data, atlas, width);
  }

  #drawTiles(data: FinderData, atlas: Atlas, width: number): string {
    const { state } = this.#host;
    this.#scatter = null;
    const { sort, only_layers: only } = state;
    const mode = modeOf(data, state);
    const box = {
      width,
      height: this.#roomDown(),
      narrow: this.#width < BESIDE_FROM,
      aspect: mode === "metric" ? 1 : data.height / data.width,
    };
    const layers = only.length ? data.layers.filter((layer) => only.includes(layer)) : data.layers;
    const list = sort !== "layer";
    const of = metricNamed(data, state.metric);
    // A tile of a metric has its number on it.
    const value = (head: Head): string =>
      of && mode === "patterns" ? shortValue(of, of.of(head)) : "";
    const heads = this.#shown.slice(0, MOST_LISTED);
    const layout = list
      ? listLayout(heads, box, value)
      : gridLayout(data, layers, box, state.only_heads);
    this.#picture = tilesPicture(data, layout, layers);
    const painting = {
      ...{ layout, metric: mode === "metric" ? of : null },
      passes: passes(data, state),
    };
    this.#plot.tiles(this.#picture, layout, (context) =>
      paintTiles(context, atlas, { ...painting, inks: this.#shell.inks() }),
    );
    const left = this.#shown.length - heads.length;
    return list && left ? `The first ${MOST_LISTED} are drawn.` : "";
  }

  #drawScatter(data: FinderData, atlas: Atlas, width: number): string {
    const { state } = this.#host;
    const [x, y] = this.#metrics(data);
    if (!x || !y) return "";
    const scatter = scatterPicture({
      ...{ data, x, y, width, theme: this.#shell.theme, table: atlas.tables.weight },
      height: this.#roomDown(),
      passes: passes(data, state),
    });
    this.#picture = scatter;
    this.#scatter = scatter;
    this.#plot.drawing(scatter, scatter.element);
    return missingWords(scatter, x, y);
  }

  /** Pixels that a fixed height leaves for the heads; 0 = as many as they take. */
  #roomDown(): number {
    const { element } = this.#plot;
    return this.#host.state.height > 0 ? (element.parentElement?.clientHeight ?? 0) : 0;
  }

  /** The metrics that are drawn. */
  #metrics(data: FinderData): Metric[] {
    const { mode, metric, second_metric: second } = this.#host.state;
    const names = mode === "scatter" ? [metric, second] : [metric];
    return names.flatMap((name) => metricNamed(data, name) ?? []);
  }

  // ── What is selected and pointed at ─────────────────────────────────────────────────────────

  #selected(data: FinderData): Head[] {
    const { layer, heads } = this.#host.state;
    return heads.flatMap((head) => data.at(layer, head) ?? []);
  }

  #select(): void {
    const data = this.#data;
    const { state } = this.#host;
    if (data) this.#plot.select(this.#selected(data), state.layer);
    this.#showPointed();
    this.#showTypical();
    this.#shell.drawn(state);
  }

  #point(head: Head | null): void {
    if (head?.id === this.#pointed?.id) return;
    this.#pointed = head;
    this.#showPointed();
  }

  #showPointed(): void {
    const data = this.#data;
    if (!data) return;
    const head = this.#pointed;
    const words = head ? headWords(data, head, this.#metrics(data)) : "";
    this.#plot.point(head, words);
    this.#scatter?.intervals([...this.#selected(data), ...(head ? [head] : [])]);
    this.#shell.setStatus(words || this.#words);
    this.#showCard();
    const at = this.#onCard(data).head;
    window.clearTimeout(this.#dwell);
    if (at && data.drawn) {
      const { layer, head: number } = at;
      this.#dwell = window.setTimeout(() => this.#large.ask({ layer, head: number }), DWELL);
    }
  }

  /** What is pointed at, else what is selected, else what stands out. */
  #onCard(data: FinderData): { head: Head | null; why: string } {
    const only = this.#selected(data);
    if (this.#pointed) return { head: this.#pointed, why: "" };
    if (only.length) return { head: only[0] ?? null, why: "selected" };
    const metric = metricNamed(data, this.#host.state.metric);
    const asked = { ...this.#host.state, sort: "highest" as const };
    const [best = null] = shownHeads(data, asked);
    return { head: best, why: metric ? `highest ${metric.label.toLowerCase()}` : "" };
  }

  #showCard(): void {
    const data = this.#data;
    const atlas = this.#atlas;
    if (!data || !atlas) return;
    const { head, why } = this.#onCard(data);
    const large = head ? (this.#large.value({ layer: head.layer, head: head.head }) ?? null) : null;
    this.#card.update({ atlas, head, why, large, metrics: this.#metrics(data) });
  }

  #showTypical(): void {
    const data = this.#data;
    const atlas = this.#atlas;
    if (!data?.frame.corpus || !atlas) return;
    const typical = this.#typical;
    const metric = typical && data.metrics.find(({ name }) => name === typical.key.metric);
    const head = typical && data.at(typical.key.layer, typical.key.head);
    const picked = head !== null && this.#selected(data).includes(head);
    const why = picked ? "selected" : metric ? `highest ${metric.label.toLowerCase()}` : NO_ROWS;
    const { weight: table } = atlas.tables;
    this.#rows.update({ data: typical, metric: metric ?? null, table, why });
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  #listen(root: HTMLElement, signal: AbortSignal): void {
    const { element } = this.#plot;
    const at = ({ clientX, clientY }: MouseEvent): Head | null => {
      const { left, top } = element.getBoundingClientRect();
      return this.#picture?.at(clientX - left, clientY - top) ?? null;
    };
    element.addEventListener("pointermove", (event) => this.#point(at(event)), { signal });
    const leave = (): void => {
      // Keys stay where they are.
      if (!element.matches(":focus-visible")) this.#point(null);
    };
    element.addEventListener("pointerleave", leave, { signal });
    element.addEventListener(
      "click",
      (event) => {
        const head = at(event);
        if (head) this.#pick(head, event.ctrlKey || event.metaKey || event.shiftKey);
      },
      { signal },
    );
    element.addEventListener("focus", () => this.#pointed ?? this.#begin(), { signal });
    element.addEventListener("blur", () => this.#point(null), { signal });
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  /** Keys begin where the selection is, else at the first head. */
  #begin(): void {
    const data = this.#data;
    // A click brings the focus, too: the pointer says where.
    if (!data || !this.#plot.element.matches(":focus-visible")) return;
    this.#point(this.#selected(data)[0] ?? this.#picture?.first ?? null);
  }

  #key(event: KeyboardEvent): void {
    if (event.target === this.#plot.element && this.#gridKey(event)) {
      handled(event);
      return;
    }
    if (event.key === "Escape" && !inField(event)) this.#point(null);
    commonKeys(event, this.#host);
  }

  #gridKey(event: KeyboardEvent): boolean {
    const picture = this.#picture;
    const data = this.#data;
    if (!picture || !data || event.altKey) return false;
    const from = this.#pointed ?? this.#selected(data)[0] ?? null;
    if (event.key === "Enter" || event.key === " ") {
      if (from) this.#pick(from, event.ctrlKey || event.metaKey || event.shiftKey);
      return true;
    }
    const start = from && picture.boxOf(from) ? from : picture.first;
    if (!start) return false;
    const ctrl = event.ctrlKey || event.metaKey;
    const to = picture.step(start, event.key, ctrl);
    if (!to) return false;
    const next = from === start ? to : start;
    this.#point(next);
    this.#plot.reveal();
    this.#shell.announce(headWords(data, next, this.#metrics(data)));
    return true;
  }

  /** Goes to a head, in every linked view; the same once more goes back to all of its layer. */
  #pick(head: Head, add: boolean): void {
    const { layer, heads } = this.#host.state;
    const same = head.layer === layer;
    const was = same && heads.includes(head.head);
    const others = same && add ? heads.filter((one) => one !== head.head) : [];
    const alone = was && heads.length === 1;
    const chosen = was && (add || alone) ? others : [...others, head.head];
    this.#host.set({ layer: head.layer, heads: chosen.sort((a, b) => a - b) });
    const data = this.#data;
    if (data) this.#shell.announce(`Selected: ${headWords(data, head, this.#metrics(data))}`);
  }
}

function cardWidth({ frame }: FinderData, wide: boolean): number {
  return frame.corpus ? CARD.corpus : wide ? CARD.wide : CARD.usual;
}

const NO_ROWS = "No rows of this head are known here.";

/** Why no heads are shown. */
function nothingWords(host: Host<FinderState>): string {
  if (host.status === "no kernel") {
    return `${whyNoKernel(host)} It computes all heads: run the cell again to see them.`;
  }
  return host.state.busy
    ? "All heads are being computed; they are on their way."
    : "There is nothing to show yet.";
}

/** Tiles of a list; more are reached by its limits. */
const MOST_LISTED = 400;
