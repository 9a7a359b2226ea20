/** The controls that every map has: kind of attention, layer, unit, heads and how they combine. */

import { type Choice, dropdown, kindChoices, layerStepper, segmented, UNITS } from "../controls";
import { h } from "../dom";
import { type Host, isFixed } from "../host/host";
import type { Theme } from "../palette";
import { headsOf, layerNumbers } from "../scene";
import type { Aggregate, Kind, MapState, Sinks, SinksPart, TraceState, Unit } from "../state";
import { headTiles, type UnderTile } from "./heads";

export interface MapHeader {
  readonly elements: readonly HTMLElement[];
  /** Head tiles: what the picture shows of the layer; belongs above it. */
  readonly heads: HTMLElement;
  update(state: HeaderState, theme: Theme, pictures?: HeadPictures | null): void;
}

/** A small picture of every head, where a view has them: [n, size, size] bytes. */
export interface HeadPictures {
  n: number;
  values: ArrayLike<number>;
  size: number;
}

/** A view that has no such trait has no such control. */
type HeaderState = TraceState & Partial<Pick<MapState, "aggregate" | "sinks">>;

const MEAN: Choice<Aggregate> = { value: "mean", label: "Mean", title: "Mean of the heads" };
const MAX: Choice<Aggregate> = { value: "max", label: "Max", title: "Largest of the heads" };
const EACH: Choice<Aggregate> = {
  value: "separate",
  label: "Each",
  title: "Each head by itself, in a colour of its own",
};
/** What a picture with one value a pair can show of several heads. */
export const ONE_VALUE: readonly Choice<Aggregate>[] = [MEAN, MAX];
export const ALL_WAYS: readonly Choice<Aggregate>[] = [MEAN, MAX, EACH];

export function mapHeader(
  host: Host<HeaderState>,
  ways: readonly Choice<Aggregate>[] = ALL_WAYS,
  under?: UnderTile,
): MapHeader {
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const layer = layerStepper((value) => host.set({ layer: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const aggregate = segmented<Aggregate>("Over heads", "aggregate", (value) =>
    host.set({ aggregate: value }),
  );
  const sinks = dropdown<Sinks>("Sinks", "sinks", (value) => host.set({ sinks: value }));
  const heads = headTiles((value) => host.set({ heads: value }), under);
  const { state } = host;
  // An explorer has these in its own header, once for all its panes.
  if (host.pane) return { elements: [], heads: h("div", { attrs: { hidden: true } }), update() {} };
  return {
    elements: [
      ...[kind.element, layer.element, unit.element],
      ...("aggregate" in state ? [aggregate.element] : []),
      ...("sinks" in state ? [sinks.element] : []),
    ],
    heads: heads.element,
    update(state, theme, pictures = null) {
      const off = (name: keyof HeaderState): boolean => isFixed(host, name);
      kind.update({ choices: kindChoices(state.scene), value: state.kind, disabled: off("kind") });
      layer.update({ layers: layerNumbers(state), layer: state.layer, disabled: off("layer") });
      unit.update({ choices: UNITS, value: state.unit, disabled: off("unit") });
      const nHeads = headsOf(state) || (pictures?.n ?? 0);
      const value = ways.some((way) => way.value === state.aggregate) ? state.aggregate : "mean";
      const one = state.heads.length === 1 || nHeads === 1;
      const disabled = one || off("aggregate");
      aggregate.update({ choices: ways, value: value ?? "mean", disabled });
      const chosen = state.sinks ?? "auto";
      sinks.update({ choices: sinkChoices(state), value: chosen, disabled: off("sinks") });
      const coloured = state.aggregate === undefined || value === "separate";
      heads.update({
        ...{ nHeads, heads: state.heads, theme, coloured, thumbnails: pictures },
        disabled: off("heads"),
      });
    },
  };
}

/** What can be done with attention sinks; "auto" says what it has come to. */
function sinkChoices(state: HeaderState): Choice<Sinks>[] {
  const { sinks } = state.frame as { sinks?: SinksPart };
  const now = state.sinks === "auto" && sinks ? `auto: ${sinks.mode}` : "auto";
  const rule = sinks ? ` ${sinks.words}` : "";
  return [
    { value: "auto", label: now, title: `Aside where they take much of the attention.${rule}` },
    { value: "aside", label: "aside", title: `Beside the picture, not in it.${rule}` },
    { value: "shown", label: "shown", title: `In the picture like all else.${rule}` },
    { value: "hidden", label: "hidden", title: `Dropped; what is left adds up to 1.${rule}` },
  ];
}
