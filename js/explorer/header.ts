/** What all panes share, once: kind of attention, unit, layer, heads, and how heads are combined. */

import type { LinesFrame } from "../attention_lines/state";
import { unpack } from "../shared/arrays";
import { type Choice, kindChoices, segmented, UNITS } from "../shared/controls";
import { h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { type HeadsProps, headTiles } from "../shared/map/heads";
import type { Theme } from "../shared/palette";
import { headsOf, layerNumbers } from "../shared/scene";
import { type Aggregate, hasFrame, type Kind, type Sinks, type Unit } from "../shared/state";
import type { ExplorerState } from "./state";
import { layerTrack } from "./track";

export interface Header {
  readonly element: HTMLElement;
  update(state: Readonly<ExplorerState>, theme: Theme): void;
}

const AGGREGATES: readonly Choice<Aggregate>[] = [
  { value: "mean", label: "Mean", title: "Mean of the heads" },
  { value: "max", label: "Max", title: "Largest of the heads" },
  { value: "separate", label: "Each", title: "Each head by itself, where a picture can" },
];
const SINKS: readonly Choice<Sinks>[] = [
  { value: "auto", label: "Auto", title: "Aside where they take much of the attention" },
  { value: "aside", label: "Aside", title: "Beside the picture, which shows what is left" },
  { value: "shown", label: "Shown", title: "Drawn like all other tokens" },
  { value: "hidden", label: "Hidden", title: "Dropped, and the rest renormalised" },
];

export function createHeader(host: Host<ExplorerState>, signal: AbortSignal): Header {
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const track = layerTrack((layer) => host.set({ layer }), signal);
  const heads = headTiles((value) => host.set({ heads: value }));
  const aggregate = segmented<Aggregate>("Over heads", "aggregate", (value) =>
    host.set({ aggregate: value }),
  );
  const sinks = segmented<Sinks>("Attention sinks", "sinks", (value) => host.set({ sinks: value }));
  const pictures = headPictures();
  return {
    element: h(
      "div",
      { class: "ex-header" },
      h("div", { class: "ex-row" }, kind.element, unit.element, track.element),
      h(
        "div",
        { class: "ex-row" },
        heads.element,
        named("Heads", aggregate.element),
        named("Sinks", sinks.element),
      ),
    ),
    update(state, theme) {
      const nHeads = headsOf(state);
      kind.update({ choices: kindChoices(state.scene), value: state.kind });
      unit.update({ choices: UNITS, value: state.unit });
      const { chart_frame: chart, lines_frame: lines } = state;
      const statistic = hasFrame(chart) ? chart : null;
      track.update({ layers: layerNumbers(state), layer: state.layer, frame: statistic });
      const thumbnails = hasFrame(lines) && lines.n_heads === nHeads ? pictures(lines) : null;
      heads.update({ nHeads, heads: state.heads, theme, thumbnails });
      sinks.update({ choices: SINKS, value: state.sinks });
      const single = state.heads.length === 1 || nHeads === 1;
      aggregate.update({ choices: AGGREGATES, value: state.aggregate });
      // It keeps its place: nothing moves when a head is chosen.
      aggregate.element.classList.toggle("is-idle", single);
      for (const each of aggregate.element.querySelectorAll("button")) each.disabled = single;
    },
  };
}

function named(label: string, control: HTMLElement): HTMLElement {
  return h("div", { class: "ex-named" }, h("span", { class: "gh-caption" }, label), control);
}

/** The pictures of the heads, unpacked once a frame. */
function headPictures(): (frame: LinesFrame) => HeadsProps["thumbnails"] {
  let of: LinesFrame["thumbnails"] | null = null;
  let known: HeadsProps["thumbnails"] = null;
  return ({ thumbnails }) => {
    if (of !== thumbnails) {
      of = thumbnails;
      known = { values: unpack(thumbnails), size: thumbnails.shape[1] ?? 0 };
    }
    return known;
  };
}
