/** LayerStatsChart: one statistic per layer; a click goes to the layer. */

import { tokenState } from "../shared/axis_text";
import { layerStepper, neighbour, segmented } from "../shared/controls";
import { type Child, fill, h, svg, watchSize } from "../shared/dom";
import { commonKeys, handled, inField, layersOf } from "../shared/keys";
import { css, headColour } from "../shared/palette";
import { hasFrame, type Kind } from "../shared/state";
import { quote } from "../shared/token_text";
import { createFrame, type Host, type View, type ViewFrame } from "../shared/view";
import { isAbort } from "../shared/wire";
import { type ChartData, chartData, type Series, tokenRows } from "./data";
import {
  type Drawing,
  drawAxes,
  drawColumns,
  drawCurrent,
  drawLabels,
  drawSeries,
  drawToken,
} from "./drawing";
import { layout } from "./layout";
import { beyondWords, describeLayer, layerTable, type TokenLine } from "./readout";
import { valueScale } from "./scales";
import type { ChartState, ScaleName } from "./state";

const HELP: readonly string[] = [
  "From left to right are the model’s layers; the height says how much each block (attention, MLP) " +
    "adds to the residual stream there: the L2 norm of its output, averaged over the tokens. The " +
    "band holds the middle half of the tokens.",
  "Point at a token in a linked view, or pin one, to see its own values as dashed lines. Click a " +
    "layer, or use the arrow keys, to go to it in every linked view.",
  "A large norm means that a block writes much, not that what it writes matters for the prediction.",
];
const HEIGHT = 280;
const COLOUR_OF: Readonly<Record<Series["name"], number>> = { attention: 0, mlp: 1, cross: 2 };
const SCALES: readonly { value: ScaleName; label: string }[] = [
  { value: "linear", label: "Linear" },
  { value: "log", label: "Log" },
];

export class LayerStatsChartView implements View<ChartState> {
  static readonly title = "Layer statistics";

  private readonly frame: ViewFrame;
  private readonly layers = layerStepper((layer) => this.host.set({ layer }));
  private readonly scales = segmented<ScaleName>("Scale", "scale", (scale) =>
    this.host.set({ scale }),
  );
  private readonly stacks = segmented<"encoder" | "decoder">("Stack", "stack", (stack) =>
    this.goToStack(stack),
  );
  private readonly caption = h("div", { class: "gh-chart-title" });
  private readonly chart = svg("svg", { class: "gh-chart", role: "group" });
  private readonly tokenLayer = svg("g", {});
  private readonly plot = h("div", { class: "gh-chart-plot" }, this.chart);
  private data: ChartData | null = null;
  private drawing: Drawing | null = null;
  private token: TokenLine | null = null;
  private asked = -1;
  private pointed = -1;
  private width = 0;

  constructor(
    el: HTMLElement,
    private readonly host: Host<ChartState>,
  ) {
    this.frame = createFrame(el, host, {
      name: "layer-stats-chart",
      title: LayerStatsChartView.title,
      help: HELP,
      onTheme: () => this.data && this.draw(),
    });
    const { body, controls, root, signal } = this.frame;
    controls.append(this.layers.element, this.stacks.element, this.scales.element);
    body.classList.add("gh-chart-body");
    body.append(this.caption, this.plot);
    this.listen(root, signal);
    watchSize(this.plot, () => this.draw(), signal);
    this.takeFrame();
    this.update(host.state);
  }

  update(changed: Partial<ChartState>): void {
    if ("frame" in changed) this.takeFrame();
    const { state } = this.host;
    this.frame.sync(state);
    this.layers.update({ layers: layersOf(state).map((l) => l.number), layer: state.layer });
    this.scales.update({ choices: SCALES, value: state.scale });
    const twoStacks = state.scene.family === "encoder-decoder";
    this.stacks.update({
      choices: twoStacks
        ? [
            { value: "encoder", label: "Encoder" },
            { value: "decoder", label: "Decoder" },
          ]
        : [],
      value: state.kind === "encoder" ? "encoder" : "decoder",
    });
    this.draw();
  }

  destroy(): void {
    this.frame.destroy();
  }

  private takeFrame(): void {
    const { frame } = this.host.state;
    if (!hasFrame(frame)) return;
    this.data = chartData(frame);
    this.token = null;
    this.asked = -1;
  }

  private goToStack(stack: "encoder" | "decoder"): void {
    const kind: Kind = this.host.state.kind;
    // Decoder self-attention and cross-attention live in the same stack: no need to leave either.
    if (stack === "encoder" || kind === "encoder") this.host.set({ kind: stack });
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  private draw(): void {
    const { data } = this;
    // Taken out of the page (a notebook does so with cells that are far away): the last width holds.
    const width = this.plot.clientWidth || this.width;
    if (!data || width === 0) return;
    this.width = width;
    const { state } = this.host;
    const scale = valueScale(data, state.scale);
    const height = state.height > 0 ? Math.max(140, this.plot.clientHeight) : HEIGHT;
    const open = new Set(layersOf(state).map(({ number }) => number));
    const drawing: Drawing = {
      data,
      scale,
      open,
      layout: layout(data, scale, width, height),
      current: data.layers.indexOf(state.layer),
      colour: (series) => css(headColour(COLOUR_OF[series.name], 1, this.frame.theme)),
    };
    this.drawing = drawing;
    const measured = h("span", { class: "gh-chart-unit" }, data.frame.unit);
    fill(this.caption, `${data.frame.title} `, measured);
    for (const [name, value] of Object.entries({ width, height })) {
      this.chart.setAttribute(name, String(value));
    }
    this.chart.setAttribute("aria-label", this.chartWords(data));
    fill(
      this.chart,
      drawCurrent(drawing),
      drawAxes(drawing),
      ...data.series.map((series) => drawSeries(drawing, series)),
      this.tokenLayer,
      ...drawLabels(drawing),
      ...drawColumns(drawing, (index) => describeLayer(data, index)),
    );
    this.drawLit();
    const { layer, heads, unit, kind } = state;
    this.frame.drawn(`${layer}:${heads.join(",")}:${unit}:${kind}`);
  }

  /** The line of the hovered or pinned token, and the words around the chart. */
  private drawLit(): void {
    const { data, drawing } = this;
    if (!data || !drawing) return;
    const { hovered, selected } = tokenState(this.host.state, data.frame.sequence);
    this.token = this.tokenLine(data, hovered ?? selected.at(-1) ?? null);
    fill(this.tokenLayer, ...(this.token ? drawToken(drawing, this.token.rows) : []));
    fill(this.frame.legend, ...this.legend(drawing));
    const token = this.token;
    const words = token && `Token ${token.position} ${token.name}: dashed lines.`;
    const beyond = token ? beyondWords(data, token, drawing.scale.max) : "";
    this.frame.setStatus([words, beyond.trim(), data.frame.note].filter(Boolean).join(" "));
    if (this.pointed >= 0) this.showTooltip(this.pointed);
  }

  private tokenLine(data: ChartData, position: number | null): TokenLine | null {
    if (position === null) return null;
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

  private legend({ data, layout, colour }: Drawing): Child[] {
    const keys = data.series.map((series) =>
      h(
        "span",
        { class: "gh-chart-legend" },
        h("span", {
          class: `gh-chart-key is-${series.name}`,
          style: { "--series": colour(series) },
        }),
        series.label,
      ),
    );
    return [...(layout.direct ? [] : keys), `line: mean; band: ${data.frame.interval}`];
  }

  private chartWords(data: ChartData): string {
    const names = data.series.map(({ label }) => label).join(", ");
    return `${data.frame.title}, ${data.frame.unit} by layer, for ${names}. ${data.frame.note}`;
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  private listen(root: HTMLElement, signal: AbortSignal): void {
    const { chart } = this;
    const indexOf = (event: Event): number => {
      const column = event.target instanceof Element ? event.target.closest("[data-layer]") : null;
      return column && this.data
        ? this.data.layers.indexOf(Number(column.getAttribute("data-layer")))
        : -1;
    };
    const pointTo = (event: Event): void => this.point(indexOf(event));
    chart.addEventListener("pointerover", pointTo, { signal });
    chart.addEventListener("pointerleave", () => this.point(-1), { signal });
    chart.addEventListener("click", (event) => this.goTo(indexOf(event)), { signal });
    root.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  private point(index: number): void {
    this.pointed = index;
    if (index < 0) this.frame.tooltip.hide();
    else this.showTooltip(index);
  }

  /** Beside the column, on the side with more room, so that it hides no part of it. */
  private showTooltip(index: number): void {
    const { data, drawing, frame } = this;
    if (!data || !drawing) return;
    const open = drawing.open.has(data.layers[index] ?? -1);
    const content = layerTable(data, index, this.token, { colour: drawing.colour, open });
    const box = this.chart.getBoundingClientRect();
    const x = box.left + drawing.layout.x(index);
    const top = box.top + drawing.layout.top;
    frame.tooltip.show({ left: x, right: x, top, bottom: top }, content);
    const away = drawing.layout.step / 2 + frame.tooltip.element.offsetWidth / 2 + 6;
    const side = index < data.layers.length / 2 ? x + away : x - away;
    frame.tooltip.show({ left: side, right: side, top, bottom: top }, content);
  }

  private goTo(index: number): void {
    const layer = this.data?.layers[index];
    if (layer === undefined || !this.drawing?.open.has(layer)) return;
    this.host.set({ layer });
    if (this.data) this.frame.announce(describeLayer(this.data, index));
  }

  private key(event: KeyboardEvent): void {
    if (commonKeys(event, this.host) || inField(event)) return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined || !this.data) return;
    handled(event);
    const open = this.data.layers.filter((layer) => this.drawing?.open.has(layer));
    const next = neighbour(open, this.host.state.layer, by);
    if (next !== null) this.goTo(this.data.layers.indexOf(next));
  }
}
