/** LayerStatsChart: one statistic per layer; a click goes to the layer. */

import { tokenState } from "../shared/axis_text";
import { neighbour } from "../shared/controls";
import { type Child, fill, h, svg, watchSize } from "../shared/dom";
import { commonKeys, handled, headsOf, inField, layersOf } from "../shared/keys";
import { css, headColour } from "../shared/palette";
import { hasFrame } from "../shared/state";
import { quote } from "../shared/token_text";
import { createFrame, type Host, type View, type ViewFrame } from "../shared/view";
import { isAbort } from "../shared/wire";
import { type Controls, chartControls, type Picture } from "./controls";
import { type ChartData, chartData, tokenRows } from "./data";
import { detailColumn } from "./detail";
import {
  type Drawing,
  drawAxes,
  drawColumns,
  drawCurrent,
  drawLabels,
  drawLayerNumbers,
  drawNull,
  drawPatterns,
  drawSeries,
  drawThin,
} from "./drawing";
import { drawHeat, type HeatDrawing, headKeys, heatHeight, heatLayout, heatLegend } from "./heat";
import { layout } from "./layout";
import { coloursOf, INK, keyMark } from "./marks";
import {
  beyondWords,
  describeHead,
  describeLayer,
  layerTable,
  legendWords,
  type Place,
  placeOf,
  type TokenLine,
} from "./readout";
import { type NamedSheet, sheetOf } from "./saving";
import { valueScale } from "./scales";
import type { ChartState, Detail } from "./state";

const HEIGHT = 280;
const BESIDE_FROM = 760;
let views = 0;

export class LayerStatsChartView implements View<ChartState> {
  static readonly title = "Layer statistics";

  private readonly frame: ViewFrame;
  private readonly controls: Controls;
  private readonly caption = h("div", { class: "gh-chart-title" });
  private readonly chart = svg("svg", { class: "gh-chart", role: "group" });
  private readonly thin = svg("g", {});
  private readonly nothing = h("p", { class: "gh-chart-nothing" });
  private readonly plot = h("div", { class: "gh-chart-plot" }, this.chart, this.nothing);
  private readonly panels = detailColumn((head) => this.toggleHead(head));
  private readonly pattern = `gh-chart-hatch-${views++}`;
  private picture: Picture = "map";
  private data: ChartData | null = null;
  private drawing: Drawing | null = null;
  private heat: HeatDrawing | null = null;
  private token: TokenLine | null = null;
  private asked = -1;
  private pointed: Place | null = null;
  private width = 0;

  constructor(
    el: HTMLElement,
    private readonly host: Host<ChartState>,
  ) {
    this.frame = createFrame(el, host, {
      name: "layer-stats-chart",
      title: LayerStatsChartView.title,
      help: [],
      onTheme: () => this.data && this.draw(),
    });
    const { body, controls, root, signal } = this.frame;
    this.controls = chartControls(host, (picture) => this.show(picture), {
      sheet: () => this.sheet(),
      fail: (words) => this.frame.setStatus(words),
    });
    controls.append(...this.controls.elements);
    body.classList.add("gh-chart-body");
    const main = h("div", { class: "gh-chart-main" }, this.caption, this.plot);
    body.append(
      this.controls.fields,
      h("div", { class: "gh-chart-columns" }, main, this.panels.element),
    );
    this.listen(root, signal);
    watchSize(body, () => this.draw(), signal);
    this.takeFrame();
    this.update(host.state);
  }

  update(changed: Partial<ChartState>): void {
    if ("frame" in changed) this.takeFrame();
    this.frame.sync(this.host.state);
    this.controls.update(this.data, this.picture);
    this.draw();
  }

  destroy(): void {
    this.frame.destroy();
  }

  private takeFrame(): void {
    const { frame } = this.host.state;
    this.data = hasFrame(frame) ? chartData(frame) : null;
    this.token = null;
    this.asked = -1;
    const { root } = this.frame;
    root.dataset.metric = this.data?.frame.key.metric ?? "";
    root.toggleAttribute("data-partial", Boolean(this.data?.frame.partial));
    if (this.data) this.frame.setHelp(this.data.frame.help);
  }

  private show(picture: Picture): void {
    this.picture = picture;
    this.controls.update(this.data, picture);
    this.draw();
  }

  private isMap(): boolean {
    return this.data?.heat != null && this.picture === "map";
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  private draw(): void {
    const { data } = this;
    const { state } = this.host;
    const whole = this.frame.body.clientWidth;
    const detail = this.detail();
    // The next layer's panels are on their way: the chart keeps its width until they are here.
    const coming = "panels" in state.detail && state.detail.panels.length > 0;
    const beside = whole >= BESIDE_FROM && coming;
    this.frame.body.classList.toggle("is-beside", beside);
    this.nothing.hidden = data !== null;
    this.chart.toggleAttribute("hidden", data === null);
    this.nothing.textContent = state.busy
      ? "The first results are on their way."
      : "There is nothing to show yet.";
    // Taken out of the page (a notebook does so with cells that are far away): the last width holds.
    const width = this.plot.clientWidth || this.width;
    if (!data || width === 0) {
      this.drawPanels(null);
      this.frame.drawn(this.description());
      return;
    }
    this.width = width;
    const measured = h("span", { class: "gh-chart-unit" }, data.frame.unit);
    fill(this.caption, `${data.frame.title} `, measured);
    this.chart.setAttribute("aria-label", this.chartWords(data));
    if (this.isMap()) this.drawMap(data, width);
    else this.drawLines(data, width);
    this.drawPanels(detail);
    this.drawLit();
    this.frame.drawn(this.description());
  }

  private description(): string {
    const { layer, heads, unit, kind } = this.host.state;
    return `${layer}:${heads.join(",")}:${unit}:${kind}`;
  }

  private size(width: number, height: number): void {
    for (const [name, value] of Object.entries({ width, height })) {
      this.chart.setAttribute(name, String(value));
    }
  }

  private common(data: ChartData) {
    const { state } = this.host;
    const open = new Set(layersOf(state).map(({ number }) => number));
    return { data, open, current: data.layers.indexOf(state.layer) };
  }

  private height(): number {
    return this.host.state.height > 0 ? Math.max(140, this.plot.clientHeight) : HEIGHT;
  }

  private drawLines(data: ChartData, width: number): void {
    const { scale: name, heads } = this.host.state;
    const scale = valueScale(data, name, heads);
    const height = this.height();
    const labels = scale.ticks.map(({ label }) => label);
    const room = { nLayers: data.layers.length, series: data.series, labels, width, height };
    const colours = data.heat ? INK : coloursOf(data.series, this.frame.theme);
    const drawing: Drawing = { ...this.common(data), scale, layout: layout(room), colours };
    this.drawing = drawing;
    this.heat = null;
    this.size(width, height);
    fill(
      this.chart,
      drawPatterns(this.pattern),
      drawCurrent(drawing.current, drawing.layout),
      drawAxes(drawing),
      drawLayerNumbers(data.layers, drawing.current, drawing.layout),
      ...data.series.map((series) => drawNull(drawing, series, this.pattern)),
      ...data.series.map((series) => drawSeries(drawing, series)),
      this.thin,
      ...drawLabels(drawing),
      ...drawColumns(drawing, (index) => describeLayer(data, index)),
    );
  }

  private drawMap(data: ChartData, width: number): void {
    const { heat } = data;
    if (!heat) return;
    const { heads } = this.host.state;
    const height = heatHeight(heat, this.height());
    const map = {
      heat,
      heads,
      theme: this.frame.theme,
      layout: heatLayout(data, heat, width, height),
    };
    const drawing: HeatDrawing = { ...this.common(data), ...map };
    this.drawing = null;
    this.heat = drawing;
    this.size(width, height);
    fill(this.chart, ...drawHeat(drawing));
  }

  private detail(): Detail | null {
    const { detail, layer } = this.host.state;
    return "panels" in detail && detail.layer === layer && detail.panels.length
      ? (detail as Detail)
      : null;
  }

  private drawPanels(detail: Detail | null): void {
    const { detail: last, heads } = this.host.state;
    const coming = detail === null && "panels" in last && last.panels.length > 0;
    this.panels.update({ detail, coming, theme: this.frame.theme, heads });
  }

  private toggleHead(head: number): void {
    const { heads } = this.host.state;
    this.host.set({ heads: heads.length === 1 && heads[0] === head ? [] : [head] });
  }

  /** The lines of the hovered or pinned token and of selected heads, and the words around. */
  private drawLit(): void {
    const { data } = this;
    if (!data) return;
    const { hovered, selected } = tokenState(this.host.state, data.frame.sequence);
    this.token = this.tokenLine(data, hovered ?? selected.at(-1) ?? null);
    fill(this.thin, ...this.tokenLines(), ...this.headLines(data));
    fill(this.frame.legend, ...this.legend(data));
    const { token } = this;
    const words = token && this.drawing && `Token ${token.position} ${token.name}: dashed lines.`;
    const beyond = token && this.drawing ? beyondWords(data, token, this.drawing.scale) : "";
    const partial = data.frame.partial && `So far: ${data.frame.partial}.`;
    const status = [partial, words, beyond.trim(), data.frame.note].filter(Boolean).join(" ");
    this.frame.setStatus(status);
    if (this.pointed) this.showTooltip();
  }

  private tokenLines(): Child[] {
    const { token, drawing } = this;
    if (!token || !drawing) return [];
    return drawing.data.series.map(({ name }, i) =>
      drawThin(drawing, token.rows[i] ?? [], drawing.colours(name), "gh-chart-token"),
    );
  }

  private headLines({ heat, layers }: ChartData): Child[] {
    const { drawing } = this;
    if (!drawing || !heat) return [];
    return this.host.state.heads.map((head) => {
      const values = layers.map((_, index) => heat.at(index, head));
      const colour = css(headColour(head, heat.nHeads, this.frame.theme));
      return drawThin(drawing, values, colour, "gh-chart-head");
    });
  }

  private tokenLine(data: ChartData, position: number | null): TokenLine | null {
    if (position === null || !data.frame.has_tokens) return null;
    const name = quote(data.frame.token_labels[position] ?? "");
    const rows = data.token(position);
    if (rows) return { position, name, rows };
    if (this.token?.position === position) return this.token;
    if (data.frame.tokens === null && this.asked !== position) this.askFor(data, position, name);
    return null;
  }

  private askFor(data: ChartData, position: number, name: string): void {
    this.asked = position;
    this.host.ask("token", { position }, this.frame.signal).then(
      ({ arrays }) => {
        if (this.data !== data || this.asked !== position) return;
        const rows = tokenRows(arrays.values?.values ?? [], data.layers.length);
        this.token = { position, name, rows };
        this.drawLit();
      },
      (error: unknown) => {
        if (isAbort(error) || this.asked !== position) return;
        this.frame.setStatus(error instanceof Error ? error.message : String(error));
      },
    );
  }

  private legend(data: ChartData): Child[] {
    if (this.heat) return heatLegend(this.heat.heat, this.frame.theme);
    const { drawing } = this;
    if (!drawing) return [];
    const keys = data.series.map(({ name, label }) =>
      h("span", { class: "gh-chart-legend" }, keyMark(name, drawing.colours(name)), label),
    );
    return [
      ...(drawing.layout.direct ? [] : keys),
      ...headKeys(data.heat, this.host.state.heads, this.frame.theme),
      ...legendWords(data).map((words) => h("span", {}, words)),
    ];
  }

  private chartWords(data: ChartData): string {
    const names = data.series.map(({ label }) => label).join(", ");
    return `${data.frame.title}, ${data.frame.unit} by layer, for ${names}. ${data.frame.note}`;
  }

  private sheet(): NamedSheet | null {
    const { data, frame, heat, chart } = this;
    const panels = this.panels.element;
    const { model } = this.host.state.scene;
    return (
      data && sheetOf({ data, heat: heat?.heat ?? null, chart, panels, root: frame.root, model })
    );
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  private listen(root: HTMLElement, signal: AbortSignal): void {
    const { chart } = this;
    chart.addEventListener("pointerover", (event) => this.point(placeOf(event, this.data)), {
      signal,
    });
    chart.addEventListener("pointerleave", () => this.point(null), { signal });
    chart.addEventListener(
      "click",
      (event) => {
        const place = placeOf(event, this.data);
        if (place) this.goTo(place.index, place.head);
      },
      { signal },
    );
    root.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  private point(place: Place | null): void {
    this.pointed = place;
    if (place) this.showTooltip();
    else this.frame.tooltip.hide();
  }

  /** Beside the column, on the side with more room, so that it hides no part of it. */
  private showTooltip(): void {
    const { data, frame, pointed } = this;
    const of = this.drawing ?? this.heat;
    if (!data || !of || !pointed) return;
    const { index, head } = pointed;
    const open = of.open.has(data.layers[index] ?? -1);
    const content =
      head === null && this.drawing
        ? layerTable(data, index, this.token, { colours: this.drawing.colours, open })
        : [describeHead(data, index, head ?? 0)];
    const box = this.chart.getBoundingClientRect();
    const x = box.left + of.layout.x(index);
    const row =
      head === null ? 0 : (head * (of.layout.bottom - of.layout.top)) / (data.heat?.nHeads || 1);
    const top = box.top + of.layout.top + row;
    frame.tooltip.show({ left: x, right: x, top, bottom: top }, content);
    const away = Math.min(40, of.layout.step / 2) + frame.tooltip.element.offsetWidth / 2 + 6;
    const side = index < data.layers.length / 2 ? x + away : x - away;
    frame.tooltip.show({ left: side, right: side, top, bottom: top }, content);
  }

  private goTo(index: number, head: number | null = null): void {
    const { data } = this;
    const layer = data?.layers[index];
    const of = this.drawing ?? this.heat;
    if (!data || layer === undefined || !of?.open.has(layer)) return;
    this.host.set(head === null ? { layer } : { layer, heads: [head] });
    this.frame.announce(
      head === null ? describeLayer(data, index) : describeHead(data, index, head),
    );
  }

  private key(event: KeyboardEvent): void {
    if (inField(event) || commonKeys(event, this.host)) return;
    // A long table scrolls by them.
    if (event.target instanceof Element && event.target.closest(".gh-panel-scroll")) return;
    const { state } = this.host;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined || !this.data) return;
    const upright = event.key === "ArrowDown" || event.key === "ArrowUp";
    if (upright && !this.heat) return;
    handled(event);
    const at = this.data.layers.indexOf(state.layer);
    if (upright) {
      const [only = -1] = state.heads.length === 1 ? state.heads : [];
      const head = Math.min(headsOf(state) - 1, Math.max(0, only + by));
      this.goTo(at, head);
      return;
    }
    const open = this.data.layers.filter((layer) => (this.drawing ?? this.heat)?.open.has(layer));
    const next = neighbour(open, state.layer, by);
    if (next === null) return;
    const one = this.heat && state.heads.length === 1 ? (state.heads[0] ?? null) : null;
    this.goTo(this.data.layers.indexOf(next), one);
  }
}
