/**
 * What a saved page has instead of a kernel: it makes pictures and answers of the weights that it
 * carries, and takes from the page what was computed when it was saved.
 */

import type { Sentences } from "../attention_lines/state";
import type { Compare } from "../fused_attention_matrix/state";
import type { QueryKeyAsked } from "../query_key_view/state";
import { same } from "../shared/host/host";
import { type InsteadOfKernel, type Json, type Reply, refused } from "../shared/host/stand_in";
import { kindInfo } from "../shared/scene";
import type { MapState, Packed, Scene } from "../shared/state";
import { Activations, type ActivationsAsked, keyOf } from "./activations";
import type { Contents } from "./contents";
import { drawMatrix, type MatrixAsked, takenAway } from "./drawn";
import { followed } from "./follow";
import {
  chunkAnswer,
  fanAnswer,
  findLines,
  type Lines,
  linesFrame,
  linesKey,
  type Of,
  shownOf,
} from "./lines";
import { cellAnswer, cellsAnswer, matrixFrame, tileAnswer } from "./matrix";
import { hasGrid, patchFrame, patchKey } from "./patches";
import { headPatterns, patternAnswer } from "./pictures";
import { lanesOf, productsAnswer, queryKeyFrame, type Vectors, vectorsOf } from "./query_key";
import { sourceAnswer, stripFrame, stripKey } from "./strip";
import { type Selection, Weights } from "./weights";

/** The views that have pictures of their own, by the names that they have in an explorer. */
export type PaneName =
  | ("lines" | "matrix" | "strip" | "chart" | "finder")
  | ("query_key" | "activations" | "patches" | "attribution");

/** Which view it is: "explorer" has all of them under their names. */
export type Role = PaneName | "explorer" | "none";

interface Answer {
  result: Json;
  arrays: Readonly<Record<string, Packed>>;
}

type State = MapState & Readonly<Record<string, unknown>>;
type Load = (element: string) => Promise<Uint8Array<ArrayBuffer>>;

const PANES: readonly PaneName[] = ["lines", "matrix", "strip", "chart", "finder"];

const NEEDS_KERNEL = new Set([
  ...["pairs", "span", "scores", "retrace", "written", "distribution"],
  ...["continue_with", "step_back", "follow", "expected"],
]);

export class SavedPage implements InsteadOfKernel {
  readonly #contents: Contents;
  readonly #role: Role;
  readonly #weights: Weights;
  readonly #activations: Activations;
  readonly #load: Load;
  #lines: { key: string; lines: Lines } | null = null;
  /** Of the layer that was shown last. */
  #vectors: Vectors | null = null;

  constructor(contents: Contents, role: Role, load: Load) {
    this.#contents = contents;
    this.#role = role;
    this.#load = load;
    this.#weights = new Weights(contents, load);
    this.#activations = new Activations(contents, load);
  }

  /** Nobody is here who could run the model, or write Python. */
  can(question: string): boolean {
    if (this.#role === "activations") return this.#canShow(question);
    if (question.startsWith("grid")) {
      return hasGrid(this.#contents.patches, question, this.#contents.state);
    }
    if (question.endsWith("layer_readings")) return this.#contents.readings.length > 0;
    if (this.#role === "attribution") return this.#canAttribute(question);
    return !NEEDS_KERNEL.has(question.split(".").at(-1) ?? "");
  }

  /** Other maps than the one that the page opens with; their clustered dimensions. */
  #canShow(question: string): boolean {
    const { activations } = this.#contents;
    const isClustered = activations.every(({ orders }) => orders.cluster !== null);
    return activations.length > 0 && (question !== "cluster" || isClustered);
  }

  /** Other targets, where they were saved; nothing is computed anew. */
  #canAttribute(question: string): boolean {
    const { attribution } = this.#contents;
    const positions = attribution.map(({ frame }) => (frame.key as Json).position);
    return question === "target" && new Set(positions).size > 1;
  }

  follow(state: Json, before: Json): Json {
    return followed(state as State, before, this.#contents, (pane) => this.#prefix(pane));
  }

  async pictures(state: Json): Promise<Json> {
    const now = state as State;
    const drawn: Record<string, unknown> = { ...this.#axes(now), ...this.#explorer(now) };
    for (const pane of this.#inView(now)) {
      try {
        Object.assign(drawn, await this.#picture(now, pane));
      } catch (error) {
        // The other panes have theirs all the same.
        drawn.error ??= error instanceof Error ? error.message : String(error);
      }
    }
    return drawn;
  }

  async reply(state: Json, asked: string, args: Json): Promise<Reply> {
    const [pane, name] = asked.includes(".") ? asked.split(".") : [this.#role, asked];
    const answer = await this.#answer(state as State, pane as Role, name ?? "", args);
    if (!answer) return [refused(this.#contents.refusal), []];
    const arrays = Object.entries(answer.arrays);
    const layout = arrays.map(([key, { dtype, shape }]) => ({ name: key, dtype, shape }));
    const message = { kind: "answer", ok: true, result: answer.result, layout };
    return [message, arrays.map(([, { data }]) => data)];
  }

  /** What stands before the names of a view's own traits. */
  #prefix(pane: PaneName): string | null {
    if (this.#role === "explorer") return `${pane}_`;
    return this.#role === pane ? "" : null;
  }

  #own(state: State, pane: PaneName, name: string): unknown {
    return state[`${this.#prefix(pane) ?? ""}${name}`];
  }

  /** The layer slider of an explorer lies on the chart, whether or not that is in view. */
  #inView(state: State): PaneName[] {
    if (this.#role === "none") return [];
    if (this.#role !== "explorer") return [this.#role];
    const { panes, large } = state as unknown as { panes: PaneName[]; large: PaneName | "" };
    return PANES.filter(
      (pane) => pane === "chart" || (large ? pane === large : panes.includes(pane)),
    );
  }

  // ── Pictures ──────────────────────────────────────────────────────────────────────────────────

  #axes(state: State): Record<string, unknown> {
    // A table of tokens has none; attribution names its tokens itself.
    if (this.#role === "none" || this.#role === "attribution") return {};
    const { axes, kind } = state;
    const ofTokens = this.#role === "query_key" || this.#role === "activations";
    const unit = ofTokens ? "token" : state.unit;
    if (!("kind" in axes) || (axes.kind === kind && axes.unit === unit)) return {};
    if (this.#role === "matrix" || this.#role === "patches") return {};
    return { axes: this.#weights.axes(kind, unit) };
  }

  /** An explorer's own picture says what all panes are of. */
  #explorer({ kind, layer, heads, unit, aggregate, sinks, off, off_how }: State): Json {
    if (this.#role !== "explorer") return {};
    const { without } = this.#contents;
    const key = { kind, layer, heads, unit, aggregate, sinks, off, off_how };
    return { frame: { kind: "explorer", key, ...(without ? { without } : {}) } };
  }

  async #picture(state: State, pane: PaneName): Promise<Json> {
    const key = this.#key(state, pane);
    const frame = this.#own(state, pane, "frame") as (Json & { key?: Json }) | undefined;
    const prefix = this.#prefix(pane) ?? "";
    const named = (traits: Json): Json =>
      Object.fromEntries(Object.entries(traits).map(([name, value]) => [prefix + name, value]));
    if (frame?.key !== undefined && same(frame.key, key) && pane !== "chart") return {};
    switch (pane) {
      case "lines": {
        const of = this.#map(state);
        const rule = {
          top_k: this.#own(state, pane, "top_k") as number | null,
          threshold: this.#own(state, pane, "threshold") as number | null,
        };
        return named({ frame: linesFrame(of, await this.#findLines(of), rule) });
      }
      case "matrix": {
        const of = await this.#matrix(state);
        const { kind, unit } = of.asked;
        const axes = this.#weights.axes(kind, unit, !of.hideSpecial);
        return named({ frame: matrixFrame(of, key, drawMatrix(of)), axes });
      }
      case "strip":
        return named({ frame: await stripFrame(this.#contents, this.#weights, state) });
      case "chart":
        return named(this.#chart(state));
      case "finder":
        return named({ frame: await this.#heads(state) });
      case "activations":
        return { frame: await this.#activations.frame(key as unknown as ActivationsAsked) };
      case "patches": {
        const frame = patchFrame(this.#contents.patches, state);
        if (!frame) throw new Error(this.#contents.refusal);
        return { frame };
      }
      case "query_key": {
        const asked = key as unknown as QueryKeyAsked;
        const { vectors, places } = await this.#queryKey(asked);
        return { frame: queryKeyFrame(vectors, asked, places) };
      }
      case "attribution": {
        const found = this.#contents.attribution.find((one) => same(one.frame.key, key));
        if (!found) throw new Error(this.#contents.refusal);
        return { frame: found.frame };
      }
    }
  }

  /** The state that a view's picture answers. */
  #key(state: State, pane: PaneName): Json {
    const { kind, layer, heads, unit, aggregate, sinks } = state;
    const own = (name: string): unknown => this.#own(state, pane, name);
    switch (pane) {
      case "lines":
        return { ...linesKey(this.#map(state)) };
      case "matrix": {
        const names = ["normalise", "hide_special", "scores", "compare"];
        const beside = Object.fromEntries(names.map((name) => [name, own(name)]));
        return { kind, layer, heads, unit, aggregate, sinks, ...beside };
      }
      case "strip":
        return stripKey(state);
      case "chart":
        return {};
      case "finder":
        return { kind, unit };
      case "activations":
        return keyOf(state as unknown as ActivationsAsked);
      case "patches":
        return { ...patchKey(state) };
      case "query_key":
        return { kind, layer, heads, query: state.query };
      case "attribution": {
        const how = ["method", "baseline", "steps", "targets", "show", "unit"];
        const names = ["position", "token", "against", "quantity", ...how];
        return Object.fromEntries(names.map((name) => [name, state[name]]));
      }
    }
  }

  #selection({ kind, layer, heads, unit, aggregate }: State): Selection {
    return { kind, layer, heads, unit, aggregate: aggregate === "separate" ? null : aggregate };
  }

  #causal(state: State): boolean {
    return kindInfo(state.scene as Scene, state.kind)?.causal ?? false;
  }

  #map(state: State): Of {
    const causal = this.#causal(state);
    const words = this.#contents.sinks[causal ? "causal" : "other"];
    const { sinks } = state;
    const sentences = (this.#own(state, "lines", "sentences") ?? "all") as Sentences;
    const asked = this.#selection(state);
    return { weights: this.#weights, asked, sinks, sentences, causal, words };
  }

  async #findLines(of: Of): Promise<Lines> {
    await this.#weights.ready(of.asked.kind, of.asked.layer);
    const key = JSON.stringify(linesKey(of));
    if (this.#lines?.key !== key) this.#lines = { key, lines: findLines(of) };
    return this.#lines.lines;
  }

  async #matrix(state: State): Promise<MatrixAsked> {
    const own = (name: string): unknown => this.#own(state, "matrix", name);
    const compare = own("compare") as Compare | null;
    // A page carries weights, not the scores that became them.
    if (compare?.trace || own("scores")) throw new Error(this.#contents.refusal);
    const of = this.#map(state);
    const asked = { ...of.asked, aggregate: of.asked.aggregate ?? "mean" } as const;
    await this.#weights.ready(asked.kind, asked.layer);
    const away = takenAway(asked, compare);
    if (away) await this.#weights.ready(away.kind, away.layer);
    const hideSpecial = Boolean(own("hide_special"));
    return { ...of, asked, normalise: Boolean(own("normalise")), hideSpecial, compare };
  }

  /** A statistic as it was when the page was saved; the first part of it where none is named. */
  #chart(state: State): Json {
    const { kind, layer } = state;
    const [metric, named] = ["metric", "quantity"].map((name) => this.#own(state, "chart", name));
    const fits = (one: { kind: string; metric: Json }): boolean =>
      one.kind === kind && same(one.metric, metric);
    const there = this.#contents.charts.filter(fits);
    const found = there.find(({ quantity }) => quantity === named) ?? there[0];
    if (!found) throw new Error(this.#contents.refusal);
    const detail = this.#contents.details.find((one) => fits(one) && one.layer === layer)?.detail;
    return { frame: found.frame, detail: detail ?? { layer, panels: [] } };
  }

  async #heads(state: State): Promise<Json> {
    const { kind, unit } = state;
    const layers = kindInfo(state.scene as Scene, kind)?.layers ?? [];
    const rest = this.#contents.heads[kind];
    if (!rest) throw new Error(this.#contents.refusal);
    const { query, key } = this.#weights.axes(kind, unit);
    for (const { number } of layers) await this.#weights.ready(kind, number);
    const causal = this.#causal(state);
    return {
      ...rest,
      key: { kind, unit },
      rows: query.labels.length,
      columns: key.labels.length,
      ...headPatterns(this.#weights, layers, { kind, unit, causal }),
    };
  }

  /** Queries and keys of a layer, and the places of the heads that are asked for. */
  async #queryKey({ kind, layer, heads }: QueryKeyAsked) {
    const { query_key: all, state, refusal } = this.#contents;
    const of = all.find((one) => one.kind === kind && one.layer === layer);
    const layers = kindInfo(state.scene as Scene, kind)?.layers ?? [];
    const nHeads = layers.find(({ number }) => number === layer)?.heads ?? 0;
    const places = of && lanesOf(of, heads, nHeads);
    if (!of || !places) throw new Error(refusal);
    if (this.#vectors?.of !== of) this.#vectors = vectorsOf(of, await this.#load(of.element));
    return { vectors: this.#vectors, places };
  }

  // ── Answers ───────────────────────────────────────────────────────────────────────────────────

  async #answer(state: State, role: Role, name: string, args: Json): Promise<Answer | null> {
    const n = (arg: string): number => Number(args[arg]);
    const place = () => ({
      ...{ query0: n("query0"), query1: n("query1") },
      ...{ key0: n("key0"), key1: n("key1") },
    });
    const about = (): Json => this.#key(state, "matrix");
    switch (`${role}.${name}`) {
      case "lines.fan": {
        const of = this.#map(state);
        const lines = await this.#findLines(of);
        return fanAnswer(of, lines, n("position"), args.side === "key" ? "key" : "query");
      }
      case "lines.lines": {
        const of = this.#map(state);
        return chunkAnswer(of, await this.#findLines(of), n("chunk"));
      }
      case "lines.shown": {
        const of = this.#map(state);
        const rule = { top_k: n("top_k") || null, threshold: n("threshold") || null };
        const shown = shownOf(await this.#findLines(of), rule);
        return { result: { key: linesKey(of), ...shown }, arrays: {} };
      }
      case "matrix.cell":
        return cellAnswer(await this.#matrix(state), about(), n("query"), n("key"));
      case "matrix.cells":
        return cellsAnswer(await this.#matrix(state), about(), place());
      case "matrix.tile":
        return tileAnswer(await this.#matrix(state), about(), place());
      case "strip.layer_readings":
        return (
          this.#contents.readings.find(
            ({ position, lens, followed }) =>
              position === n("position") && lens === args.lens && followed === args.followed,
          ) ?? null
        );
      case "strip.source_attention":
        return sourceAnswer(this.#weights, state, n("position"));
      case "finder.pattern": {
        const { kind, unit } = state;
        const asked = { kind, unit, layer: n("layer"), heads: [n("head")], aggregate: null };
        await this.#weights.ready(kind, asked.layer);
        return patternAnswer(this.#weights, asked, this.#causal(state));
      }
      case "activations.tile": {
        const rows = { row0: n("row0"), row1: n("row1") };
        const part = { ...rows, column0: n("column0"), column1: n("column1") };
        return this.#activations.tile(state as unknown as ActivationsAsked, part);
      }
      case "query_key.products":
      case "query_key.chosen_products": {
        const asked = this.#key(state, "query_key") as unknown as QueryKeyAsked;
        const { vectors, places } = await this.#queryKey(asked);
        const [start, stop] = [n("start"), n("stop")];
        const keys = (args.keys ?? range(start, stop)) as number[];
        const about = args.keys ? { keys } : { start, stop };
        return productsAnswer(vectors, asked, places, keys, about);
      }
      default:
        return null;
    }
  }
}

function range(start: number, stop: number): number[] {
  return Array.from({ length: Math.max(0, stop - start) }, (_, i) => start + i);
}
