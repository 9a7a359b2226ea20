/** The header of the chart: statistic, layer, stack, quantity, picture, scale. */

import { layerStepper, type SegmentedProps, segmented } from "../shared/controls";
import { type Host, isFixed } from "../shared/host/host";
import { layerNumbers } from "../shared/scene";
import type { Kind } from "../shared/state";
import type { ChartData } from "./data";
import { allowsLog, scaleOf } from "./scales";
import { settings } from "./settings";
import type { ChartState, ScaleName } from "./state";

/** How heads are shown where a statistic has a value for each. */
export type Picture = "map" | "lines";
type Stack = "encoder" | "decoder";

const SCALES: SegmentedProps<ScaleName>["choices"] = [
  { value: "linear", label: "Linear" },
  { value: "log", label: "Log" },
];
const NO_AXIS = "A heat map has no such axis";
const NO_LOG = "No logarithmic axis: not every value is above 0";
const PICTURES: SegmentedProps<Picture>["choices"] = [
  { value: "map", label: "Heat map" },
  { value: "lines", label: "Lines" },
];
const STACKS: SegmentedProps<Stack>["choices"] = [
  { value: "encoder", label: "Encoder" },
  { value: "decoder", label: "Decoder" },
];

export interface Controls {
  readonly elements: readonly HTMLElement[];
  /** The fields of the statistic, under the header. */
  readonly fields: HTMLElement;
  /** What is missing of the statistic that is chosen, in words; "" = nothing. */
  missing(): string;
  update(data: ChartData | null, picture: Picture): void;
}

export function chartControls(
  host: Host<ChartState>,
  on: { picture(picture: Picture): void; draft(): void },
): Controls {
  const metric = settings((chosen) => {
    const same = chosen.name === host.state.metric.name;
    host.set(same ? { metric: chosen } : { metric: chosen, quantity: "", scale: "auto" });
  }, on.draft);
  const layers = layerStepper((layer) => host.set({ layer }));
  const stacks = segmented<Stack>("Stack", "stack", (stack) => goToStack(host, stack));
  const quantities = segmented<string>("Quantity", "quantity", (quantity) =>
    host.set({ quantity }),
  );
  const pictures = segmented<Picture>("Picture", "picture", on.picture);
  const scales = segmented<ScaleName>("Scale", "scale", (scale) => host.set({ scale }));
  const shared = host.pane ? [] : [layers, stacks];
  const others = [...shared, quantities, pictures, scales];
  return {
    elements: [metric.choice, ...others.map(({ element }) => element)],
    fields: metric.fields,
    missing: metric.missing,
    update(data, picture) {
      const { state } = host;
      const off = (name: keyof ChartState): boolean => isFixed(host, name);
      metric.update({ metrics: state.metrics, metric: state.metric, disabled: off("metric") });
      layers.update({ layers: layerNumbers(state), layer: state.layer, disabled: off("layer") });
      const two = state.scene.family === "encoder-decoder";
      const stack = state.kind === "encoder" ? "encoder" : "decoder";
      stacks.update({ choices: two ? STACKS : [], value: stack, disabled: off("kind") });
      const choices = (data?.frame.quantities ?? []).map(({ name, label }) => ({
        value: name,
        label,
      }));
      const quantity = data?.frame.quantity ?? "";
      quantities.update({ choices, value: quantity, disabled: off("quantity") });
      pictures.update({ choices: data?.heat ? PICTURES : [], value: picture });
      // It keeps its place where there is no such axis: nothing beside it moves.
      const isMap = data?.heat && picture === "map";
      const log = data !== null && !isMap && allowsLog(data, state.heads);
      const value = data === null ? "linear" : scaleOf(data, state);
      scales.update({ choices: SCALES, value, disabled: !log });
      scales.element.title = log ? "" : isMap ? NO_AXIS : NO_LOG;
    },
  };
}

function goToStack(host: Host<ChartState>, stack: Stack): void {
  const kind: Kind = host.state.kind;
  // Decoder self-attention and cross-attention live in the same stack: no need to leave either.
  if (stack === "encoder" || kind === "encoder") host.set({ kind: stack });
}
