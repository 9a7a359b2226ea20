/** LayerStatsChart: one statistic per layer; a click goes to the layer. */

import { button, type Child, fill, h, watchSize } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import { litTokens, onlyLit, selectPatch, toggled } from "../shared/lit";
import { layerNumbers } from "../shared/scene";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { TRACE_TRAITS, type View } from "../shared/view";
import { Chart } from "./chart";
import { type Controls, chartControls, type Picture } from "./controls";
import { type ChartData, chartData } from "./data";
import { detailColumn } from "./detail";
import { createGestures, type Gestures } from "./gestures";
import { headKeys, heatLegend } from "./heat";
import { keyMark } from "./marks";
import {
  beyondWords,
  describeHead,
  describeLayer,
  legendWords,
  outlierWords,
  type TokenLine,
} from "./readout";
import { scaleOf } from "./scales";
import type { ChartState, Detail } from "./state";
import { createTokenLines, type TokenLines } from "./token_line";

const HEIGHT = 280;
const BESIDE_FROM = 760;
const TABLE_BESIDE_FROM = 1160;
/** More panels would stand in a column that is far longer than the chart is high. */
const MOST_BESIDE = 3;

export class LayerStatsChartView implements View<ChartState> {
  static readonly id = "layer-stats-chart";
  static readonly title = "Layer statistics";
  static readonly traits = {
    ...TRACE_TRAITS,
    metrics: true,
    metric: true,
    quantity: true,
    scale: true,
    detail: true,
  } as const;

  readonly #host: Host<ChartState>;
  readonly #shell: Shell;
  readonly #controls: Controls;
  readonly #chart = new Chart();
  readonly #tokens: TokenLines;
  readonly #gestures: Gestures;
  readonly #panels = detailColumn({
    canChoosePairs: () => this.#host.can?.("pairs") ?? true,
    onHead: (head) => this.#toggleHead(head),
    onTokens: (tokens) => this.#selectTokens(tokens),
  });
  readonly #caption = h("div", { class: "gh-chart-title" });
  readonly #nothing = h("p", { class: "gh-chart-nothing" });
  /** What is chosen but not shown yet: the picture below it is still that of another statistic. */
  readonly #waiting = h("p", { class: "gh-chart-waiting", attrs: { role: "status" } });
  readonly #outlier = button("gh-button gh-chart-outlier", () => this.#pinOutlier(), {
    attrs: { title: "Show this token’s own values, as dashed lines" },
    data: { action: "outlier" },
  });
  readonly #plot = h(
    "div",
    { class: "gh-chart-plot" },
    this.#chart.element,
    this.#nothing,
    this.#waiting,
  );
  #picture: Picture = "map";
  #data: ChartData | null = null;
  /** The hovered or pinned token's line, where it has one. */
  #token: TokenLine | null = null;
  #width = 0;

  constructor(el: HTMLElement, host: Host<ChartState>) {
    this.#host = host;
    this.#shell = createShell(el, host, LayerStatsChartView, {
      picture: () => ({ name: this.#fileName() }),
      onTheme: () => this.#data && this.#draw(),
    });
    const { body, controls, root, signal } = this.#shell;
    const on = { picture: (picture: Picture) => this.#show(picture), draft: () => this.#draw() };
    this.#controls = chartControls(host, on);
    this.#tokens = createTokenLines(host, signal, () => this.#drawLit());
    this.#gestures = createGestures(this.#shell, this.#chart, {
      data: () => this.#data,
      state: () => host.state,
      token: () => this.#token,
      goTo: (index, head) => this.#goTo(index, head),
    });
    controls.append(...this.#controls.elements);
    body.classList.add("gh-chart-body");
    const main = h("div", { class: "gh-chart-main" }, this.#caption, this.#plot);
    body.append(
      this.#controls.fields,
      h("div", { class: "gh-chart-columns" }, main, this.#panels.element),
    );
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    watchSize(body, () => this.#draw(), signal);
    // Where the height is given the plot has what the panels leave, which are drawn after it.
    watchSize(this.#plot, () => host.state.height > 0 && this.#draw(), signal);
    this.#takeFrame();
    this.update({});
  }

  update(changed: Partial<ChartState>): void {
    if ("frame" in changed) this.#takeFrame();
    this.#shell.sync(this.#host.state);
    if (onlyLit(changed)) {
      this.#drawPanels(this.#detail());
      this.#drawLit();
      return;
    }
    this.#controls.update(this.#data, this.#picture);
    this.#draw();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  #takeFrame(): void {
    const { frame } = this.#host.state;
    this.#data = hasFrame(frame) ? chartData(frame) : null;
    this.#tokens.forget();
    const { root } = this.#shell;
    root.dataset.metric = this.#data?.frame.key.metric ?? "";
    root.toggleAttribute("data-partial", Boolean(this.#data?.frame.partial));
    if (this.#data) this.#shell.setHelp(this.#data.frame.help);
  }

  #show(picture: Picture): void {
    this.#picture = picture;
    this.#controls.update(this.#data, picture);
    this.#draw();
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  #draw(): void {
    const data = this.#data;
    const shell = this.#shell;
    const { state } = this.#host;
    const detail = this.#detail();
    this.#place();
    this.#sayWhatWaits();
    this.#nothing.hidden = data !== null;
    this.#chart.element.toggleAttribute("hidden", data === null);
    this.#nothing.textContent = state.busy
      ? "The first results are on their way."
      : "There is nothing to show yet.";
    // Taken out of the page (a notebook does so with cells that are far away): the last width holds.
    this.#width = this.#plot.clientWidth || this.#width;
    if (data && this.#width > 0) {
      const measured = h("span", { class: "gh-chart-unit" }, data.frame.unit);
      fill(this.#caption, `${data.frame.title} `, measured);
      this.#chart.draw(this.#props(data));
      fill(shell.legend, ...this.#legend(data));
      this.#drawPanels(detail);
      this.#drawLit();
    } else this.#drawPanels(null);
    shell.drawn(state);
  }

  /** Panels stand beside the chart where there is room for both, tables with all their columns. */
  #place(): void {
    const { detail } = this.#host.state;
    const { body } = this.#shell;
    // The next layer's panels are on their way: the chart keeps its width until they are here.
    const panels = "panels" in detail ? (detail as Detail).panels : [];
    const wide = panels.some(({ type }) => type === "table");
    const from = wide ? TABLE_BESIDE_FROM : BESIDE_FROM;
    const few = panels.length > 0 && panels.length <= MOST_BESIDE;
    body.classList.toggle("is-beside", few && body.clientWidth >= from);
    body.classList.toggle("has-table", wide);
  }

  /** The old picture keeps its own name until the new statistic is there. */
  #sayWhatWaits(): void {
    const { state } = this.#host;
    const { frame } = this.#data ?? {};
    const lacks = this.#controls.missing();
    const old = frame !== undefined && frame.key.metric !== state.metric.name;
    const why = lacks || (old ? `${state.metric.label}: not here yet.` : "");
    const words = frame && why ? `${why} This is still ${frame.metric_label}.` : why;
    if (this.#waiting.textContent !== words) this.#waiting.textContent = words;
    this.#waiting.hidden = words === "";
    this.#shell.body.classList.toggle("is-waiting", words !== "");
  }

  #pinOutlier(): void {
    const { frame } = this.#data ?? {};
    if (!frame?.outlier) return;
    const { selected } = litTokens(this.#host.state, frame.sequence);
    this.#host.set(selectPatch(frame.sequence, toggled(selected, frame.outlier.position)));
  }

  #props(data: ChartData) {
    const { state } = this.#host;
    const { layer, heads, height } = state;
    return {
      ...{
        data,
        scale: scaleOf(data, state),
        layer,
        heads,
        theme: this.#shell.theme,
        width: this.#width,
      },
      map: data.heat !== null && this.#picture === "map",
      open: new Set(layerNumbers(this.#host.state)),
      height: height > 0 ? Math.max(140, this.#plot.clientHeight) : HEIGHT,
    };
  }

  #detail(): Detail | null {
    const { detail, layer } = this.#host.state;
    return "panels" in detail && detail.layer === layer && detail.panels.length
      ? (detail as Detail)
      : null;
  }

  #drawPanels(detail: Detail | null): void {
    const { detail: last, heads } = this.#host.state;
    const { selected } = litTokens(this.#host.state, this.#data?.frame.sequence ?? "text");
    const coming = detail === null && "panels" in last && last.panels.length > 0;
    this.#panels.update({ detail, coming, theme: this.#shell.theme, heads, selected });
  }

  #selectTokens(tokens: readonly number[]): void {
    const { frame } = this.#data ?? {};
    if (frame) this.#host.set(selectPatch(frame.sequence, [...tokens]));
  }

  #toggleHead(head: number): void {
    const { heads } = this.#host.state;
    this.#host.set({ heads: heads.length === 1 && heads[0] === head ? [] : [head] });
  }

  /** The line of the hovered or pinned token, and the words that tell of it. */
  #drawLit(): void {
    const data = this.#data;
    const chart = this.#chart;
    if (!data || !chart.drawn) return;
    const { hovered, selected } = litTokens(this.#host.state, data.frame.sequence);
    const token = this.#tokens.of(data, hovered ?? selected.at(-1) ?? null);
    this.#token = typeof token === "string" ? null : token;
    chart.light(this.#token);
    const { outlier } = data.frame;
    const pinned = outlier !== null && selected.includes(outlier.position);
    this.#outlier.textContent = outlierWords(data);
    this.#outlier.setAttribute("aria-pressed", String(pinned));
    const { partial, note } = data.frame;
    const line = typeof token === "string" ? token : this.#tokenWords(data);
    const words = [partial && `So far: ${partial}.`, line, note];
    this.#shell.setStatus(words.filter(Boolean).join(" "));
    this.#gestures.refresh();
  }

  #tokenWords(data: ChartData): string {
    const token = this.#token;
    const chart = this.#chart;
    if (!token || !chart.lines) return "";
    const beyond = beyondWords(data, token, chart.lines.scale);
    return `Token ${token.position} ${token.name}: dashed lines.${beyond}`;
  }

  #legend(data: ChartData): Child[] {
    const { theme } = this.#shell;
    const { lines, heat } = this.#chart;
    if (heat) return heatLegend(heat.heat, theme);
    if (!lines) return [];
    const keys = data.series.map(({ name, label }) =>
      h("span", { class: "gh-chart-legend" }, keyMark(name, lines.colours(name)), label),
    );
    return [
      ...(lines.layout.direct ? [] : keys),
      ...headKeys(data.heat, this.#host.state.heads, theme),
      data.frame.outlier && this.#outlier,
      ...legendWords(data).map((words) => h("span", {}, words)),
    ];
  }

  #fileName(): string {
    const metric = this.#data?.frame.key.metric ?? "layer-statistics";
    return `glasshead-${metric.replaceAll("_", "-")}`;
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  #key(event: KeyboardEvent): void {
    if (!commonKeys(event, this.#host)) this.#gestures.key(event);
  }

  #goTo(index: number, head: number | null): void {
    const data = this.#data;
    const layer = data?.layers[index];
    if (!data || layer === undefined || !this.#chart.drawn?.open.has(layer)) return;
    this.#host.set(head === null ? { layer } : { layer, heads: [head] });
    this.#shell.announce(
      head === null ? describeLayer(data, index) : describeHead(data, index, head),
    );
  }
}
