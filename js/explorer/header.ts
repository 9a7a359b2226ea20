/** What all panes share, once: kind of attention, unit, layer, heads, and how heads are combined. */

import type { LinesFrame } from "../attention_lines/state";
import type { ChartFrame } from "../layer_stats_chart/state";
import { unpack } from "../shared/arrays";
import { h } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { ALL_WAYS, type HeadPictures, mapHeader } from "../shared/map/header";
import type { Theme } from "../shared/palette";
import { headsOf, layerNumbers } from "../shared/scene";
import { hasFrame } from "../shared/state";
import type { ExplorerState } from "./state";
import { headSwitches } from "./switches";
import { layerTrack } from "./track";

export interface Header {
  readonly element: HTMLElement;
  update(state: Readonly<ExplorerState>, theme: Theme): void;
}

export function createHeader(host: Host<ExplorerState>, signal: AbortSignal): Header {
  const switches = headSwitches(host);
  const map = mapHeader(host, ALL_WAYS, switches.under);
  switches.listen(map.heads);
  const [kind, layer, unit, ...combining] = map.elements;
  const track = layerTrack((value) => host.set({ layer: value }), signal);
  const row = (...parts: (HTMLElement | undefined)[]): HTMLElement =>
    h("div", { class: "ex-row" }, ...parts);
  const pictures = headPictures();
  let chart: ChartFrame | null = null;
  let lines: LinesFrame | null = null;
  return {
    element: h(
      "div",
      { class: "ex-header" },
      row(kind, unit, h("div", { class: "ex-layers" }, layer, track.element)),
      row(map.heads, ...combining, switches.bar),
    ),
    update(state, theme) {
      // Until those of another text are there, the last ones stay: the header keeps its height.
      if (hasFrame(state.chart_frame)) chart = state.chart_frame;
      if (hasFrame(state.lines_frame)) lines = state.lines_frame;
      if (lines && lines.n_heads !== headsOf(state)) lines = null;
      const disabled = isFixed(host, "layer");
      track.update({ layers: layerNumbers(state), layer: state.layer, frame: chart, disabled });
      // Heads have their pictures, and sinks their rule, in the frame of the lines.
      map.update({ ...state, frame: state.lines_frame }, theme, lines && pictures(lines));
      switches.update(state);
    },
  };
}

/** The pictures of the heads, unpacked once a frame. */
function headPictures(): (frame: LinesFrame) => HeadPictures {
  let of: LinesFrame["thumbnails"] | null = null;
  let values: ArrayLike<number> = [];
  return ({ thumbnails, n_heads }) => {
    if (of !== thumbnails) [of, values] = [thumbnails, unpack(thumbnails)];
    return { n: n_heads, values, size: thumbnails.shape[1] ?? 0 };
  };
}
