/**
 * The traits that views share, as Python sends them and the browser writes them.
 *
 * Each view's own traits, and its frame, are in the `state.ts` of its folder.
 */

import type { StoryStep } from "./story/steps";

export type Dtype = "uint8" | "uint16" | "uint32" | "int32" | "float16" | "float32";
export type Kind = "self" | "encoder" | "decoder" | "cross";
export type Unit = "token" | "word";
export type Sequence = "text" | "source" | "target";
export type ThemeTrait = "auto" | "light" | "dark";

/** An array as it travels: little-endian bytes in C order, never a JSON list of numbers. */
export interface Packed {
  dtype: Dtype;
  shape: number[];
  data: ArrayBufferView | ArrayBuffer;
}

export interface LayerInfo {
  number: number;
  heads: number;
}

export interface KindInfo {
  name: Kind;
  title: string;
  causal: boolean;
  query: Sequence;
  key: Sequence;
  layers: LayerInfo[];
}

/** What a view is headed by: the model, and what must be said of it. */
export interface Heading {
  model: string;
  notice: string;
}

/** What stays the same for the life of a trace. */
export interface Scene extends Heading {
  family: "decoder" | "encoder-decoder" | "encoder";
  kinds: KindInfo[];
  /** Arrays that somebody gave: there is no model to trace another text with. */
  given?: boolean;
}

/** One side of an attention map, in the current unit (tokens or words). */
export interface Axis {
  sequence: Sequence;
  labels: string[];
  /** What each decoder row predicts; only on the query axis of decoder and cross attention. */
  predicted: string[] | null;
  emphasis: "label" | "predicted";
  special: Packed;
  generated: Packed;
  /** Of a sentence pair: 0 or 1 for each unit, the sentence that it is of. */
  segments?: number[] | null;
  /** The unit that each token position belongs to. */
  unit_of_token: Packed;
}

export interface Axes {
  kind: Kind;
  unit: Unit;
  query: Axis;
  key: Axis;
}

/** A view that has no axes (LayerStatsChart), or none yet, gets an empty object. */
export type MaybeAxes = Axes | Record<string, never>;
export type MaybeFrame<F> = F | Record<string, never>;

/** What every view has, whatever it is of. */
export interface ViewState {
  theme: ThemeTrait;
  /** Pixels; 0 = the view's own natural height. */
  height: number;
  scene: Heading;
  frame: MaybeFrame<Frame>;
  error: string;
  busy: string;
  /** Steps that are told over the view; none = no story. */
  story: readonly StoryStep[];
  /** The step that is shown. */
  step: number;
}

/** What a view of a trace has. */
export interface TraceState extends ViewState {
  layer: number;
  /** Head numbers, sorted; empty = all. */
  heads: number[];
  kind: Kind;
  unit: Unit;
  /** Token positions in "text" or "target". */
  selected: number[];
  hovered: number | null;
  /** Token positions in "source" of an encoder-decoder model. */
  selected_source: number[];
  hovered_source: number | null;
  scene: Scene;
  axes: MaybeAxes;
}

/** How several heads are combined; "separate" = each is drawn by itself. */
export type Aggregate = "mean" | "max" | "separate";
export type Sinks = "auto" | "aside" | "shown" | "hidden";

/** What a view of an attention map has. */
export interface MapState extends TraceState {
  aggregate: Aggregate;
  sinks: Sinks;
}

/** The attention sinks of what is drawn, as frames of maps carry them. */
export interface SinksPart {
  mode: "aside" | "shown" | "hidden";
  /** The rule that finds them. */
  words: string;
  /** Of all attention that the drawn maps give. */
  share: number;
  /** [n]: units of the key axis that are a sink of any map. */
  units: Packed;
  /** [maps, n] bytes: of which map. */
  of_map: Packed;
  /** [maps, rows]: what each row gives to the sinks of its map; NaN = it looks nowhere. */
  to: Packed;
}

/** What is drawn now: `key` names the state that it answers, the rest is the view's own. */
export interface Frame {
  kind: string;
  key: object;
}

/** Something that can be chosen, or a series: its name, and what it is called on the page. */
export interface Named {
  name: string;
  label: string;
}

export function hasAxes(axes: MaybeAxes): axes is Axes {
  return "query" in axes;
}

export function hasFrame<F extends Frame>(frame: MaybeFrame<F>): frame is F {
  return "kind" in frame;
}
