/** What all panes share, once: kind of attention, unit, layer, heads, and how heads are combined. */

import type { LinesFrame } from "../attention_lines/state";
import { unpack } from "../shared/arrays";
import { h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { type HeadPictures, mapHeader } from "../shared/map/header";
import type { Theme } from "../shared/palette";
import { layerNumbers } from "../shared/scene";
import { hasFrame } from "../shared/state";
import type { ExplorerState } from "./state";
import { layerTrack } from "./track";

export interface Header {
  readonly element: HTMLElement;
  update(state: Readonly<ExplorerState>, theme: Theme): void;
}

export function createHeader(host: Host<ExplorerState>, signal: AbortSignal): Header {
  const map = mapHeader(host);
  const [kind, layer, unit, ...combining] = map.elements;
  const track = layerTrack((value) => host.set({ layer: value }), signal);
  const row = (...parts: (HTMLElement | undefined)[]): HTMLElement =>
    h("div", { class: "ex-row" }, ...parts);
  const pictures = headPictures();
  return {
    element: h(
      "div",
      { class: "ex-header" },
      row(kind, unit, h("div", { class: "ex-layers" }, layer, track.element)),
      row(map.heads, ...combining),
    ),
    update(state, theme) {
      const { chart_frame: chart, lines_frame: lines } = state;
      const frame = hasFrame(chart) ? chart : null;
      track.update({ layers: layerNumbers(state), layer: state.layer, frame });
      // Heads have their pictures, and sinks their rule, in the frame of the lines.
      map.update({ ...state, frame: lines }, theme, hasFrame(lines) ? pictures(lines) : null);
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
