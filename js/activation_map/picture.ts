/** What is drawn: the tokens, and the map beside them. */

import { type Column, column } from "../shared/map/axis";
import { type Axes, type Axis, hasAxes, hasFrame, type Sequence } from "../shared/state";
import { type Activations, readActivations } from "./grid";
import type { ActivationState } from "./state";

export interface ActivationPicture {
  readonly axes: Axes;
  readonly side: Sequence;
  readonly tokens: Column;
  readonly map: Activations;
  /** Widest label in pixels, once measured. */
  labels: number | null;
}

/** Null until a frame comes that fits the axes. */
export function readPicture(
  { axes, frame }: Readonly<ActivationState>,
  old: ActivationPicture | null,
): ActivationPicture | null {
  if (!hasAxes(axes) || !hasFrame(frame)) return null;
  const { side } = frame;
  const kept = old?.axes === axes && old.side === side ? old : null;
  const tokens = kept?.tokens ?? column(axisOf(axes, side));
  // Axes and frame change together; a frame of other rows would point at wrong ones.
  if (tokens.length !== frame.tokens) return null;
  const map = kept?.map.frame === frame ? kept.map : readActivations(frame);
  return { axes, side, tokens, map, labels: kept?.labels ?? null };
}

/** The axis of the rows' tokens. What they predict is no part of an activation's name. */
function axisOf({ query, key }: Axes, side: Sequence): Axis {
  const axis = query.sequence === side ? query : key;
  return { ...axis, predicted: null, emphasis: "label" };
}
