/** What else changes when a view changes something: what Python's views see to themselves. */

import type { Compare } from "../fused_attention_matrix/state";
import type { Json } from "../shared/host/stand_in";
import { kindInfo } from "../shared/scene";
import type { MapState, Scene } from "../shared/state";
import { type ActivationsAsked, fittingActivations } from "./activations";
import type { Contents } from "./contents";
import { keepingCell } from "./patches";

type State = MapState & Readonly<Record<string, unknown>>;
type Changes = Record<string, unknown>;
/** What stands before the traits of a view; null = it is not here. */
type Prefix = (
  pane: "lines" | "matrix" | "finder" | "query_key" | "activations" | "patches",
) => string | null;

export function followed(state: State, before: Json, contents: Contents, prefix: Prefix): Json {
  const changes: Changes = {};
  if (prefix("activations") !== null) {
    // Layers without attention have activations, too.
    const asked = state as unknown as ActivationsAsked;
    Object.assign(changes, fittingActivations(asked, contents));
  } else if (prefix("patches") !== null) {
    Object.assign(changes, keepingCell(contents.patches, state, before));
  } else if ("kind" in before || "layer" in before) Object.assign(changes, fitting(state));
  for (const name of ["selected", "selected_source"] as const) {
    const tokens = state[name];
    if (name in before && tokens) changes[name] = [...new Set(tokens)].sort((a, b) => a - b);
  }
  const now = { ...state, ...changes } as State;
  const lines = prefix("lines");
  if (lines !== null && "kind" in before) Object.assign(changes, pairing(now, contents, lines));
  const matrix = prefix("matrix");
  if (matrix !== null) {
    const scores = lettingScoresGo(now, before, matrix);
    Object.assign(changes, pinning(now, before, matrix), comparing(now, matrix), scores);
  }
  const finder = prefix("finder");
  if (finder !== null && "kind" in before) Object.assign(changes, measuring(now, contents, finder));
  if (prefix("query_key") !== null && "kind" in before) {
    Object.assign(changes, withinSides(now, contents));
  }
  return changes;
}

/** Query and key stay within what the kind of attention has. */
function withinSides({ kind, query, key }: State, { axes }: Contents): Changes {
  const sides = axes.find((one) => one.kind === kind && one.unit === "token" && one.special)?.axes;
  if (!sides) return {};
  const [rows, keys] = [sides.query.labels.length, sides.key.labels.length];
  const isThere = typeof key === "number" && key < keys;
  return { query: Math.min(Number(query), rows - 1), key: isThere ? key : null };
}

/** Layer and heads stay within what the kind of attention, and then the layer, has. */
function fitting({ scene, kind, layer, heads }: State): Changes {
  const layers = kindInfo(scene as Scene, kind)?.layers ?? [];
  const [first] = layers;
  if (!first) return {};
  const distance = (number: number): number => Math.abs(number - layer);
  const nearest = layers.reduce(
    (best, one) => (distance(one.number) < distance(best.number) ? one : best),
    first,
  );
  return { layer: nearest.number, heads: heads.filter((head) => head < nearest.heads) };
}

/** Only a sentence pair has sentences to choose from. */
function pairing({ kind, unit, ...state }: State, { axes }: Contents, prefix: string): Changes {
  const name = `${prefix}sentences`;
  const found = axes.find((one) => one.kind === kind && one.unit === unit)?.axes;
  const isPair = found?.query.segments && found.key.segments;
  return isPair || !(name in state) || state[name] === "all" ? {} : { [name]: "all" };
}

/** A pinned cell is selected for all views; it is let go where something else was selected since. */
function pinning(state: State, before: Json, prefix: string): Changes {
  const pinned = state[`${prefix}pinned`] as number[] | undefined;
  if (!pinned?.length) return {};
  const wanted: Changes = {};
  for (const [i, side] of (["query", "key"] as const).entries()) {
    const sequence = kindInfo(state.scene as Scene, state.kind)?.[side];
    const name = sequence === "source" ? "selected_source" : "selected";
    const tokens = [...((wanted[name] as number[] | undefined) ?? []), pinned[i] ?? 0];
    wanted[name] = [...new Set(tokens)].sort((a, b) => a - b);
  }
  if (`${prefix}pinned` in before) return wanted;
  const isSelected = Object.entries(wanted).every(
    ([name, tokens]) => String(state[name]) === String(tokens),
  );
  return isSelected ? {} : { [`${prefix}pinned`]: [] };
}

/** What is compared has to be there. */
function comparing(state: State, prefix: string): Changes {
  const compare = state[`${prefix}compare`] as Compare | null;
  if (!compare || compare.trace) return {};
  const layers = kindInfo(state.scene as Scene, state.kind)?.layers ?? [];
  const layer = layers.find(({ number }) => number === (compare.layer ?? state.layer));
  const fits = layer && (compare.heads ?? []).every((head) => head < layer.heads);
  return fits ? {} : { [`${prefix}compare`]: null };
}

/** A page carries the weights of every map, but the scores of only the one it was saved with. */
function lettingScoresGo(state: State, before: Json, prefix: string): Changes {
  const name = `${prefix}scores`;
  const drawn = ["kind", "layer", "heads", "unit", "aggregate", "sinks", `${prefix}hide_special`];
  const others = !(name in before) && drawn.some((one) => one in before);
  return state[name] && others ? { [name]: false } : {};
}

/** Metrics that heads of another kind of attention do not have are others. */
function measuring(state: State, { heads }: Contents, prefix: string): Changes {
  const metrics = (heads[state.kind]?.metrics ?? []) as { name: string }[];
  const names = metrics.map(({ name }) => name);
  const there = kindInfo(state.scene as Scene, state.kind)?.layers ?? [];
  const layers = there.map(({ number }) => number);
  const most = Math.max(0, ...there.map((layer) => layer.heads));
  const only = state[`${prefix}only_layers`] as number[];
  const named = state[`${prefix}only_heads`] as number[];
  const changes: Changes = {
    [`${prefix}only_layers`]: only.filter((layer) => layers.includes(layer)),
    [`${prefix}only_heads`]: named.filter((head) => head < most),
  };
  const cross = state.kind === "cross";
  if (!names.includes(String(state[`${prefix}metric`]))) {
    changes[`${prefix}metric`] = cross ? "entropy" : "previous_token";
    changes[`${prefix}at_least`] = null;
    changes[`${prefix}at_most`] = null;
  }
  if (!names.includes(String(state[`${prefix}second_metric`]))) {
    changes[`${prefix}second_metric`] = cross ? "sink" : "induction";
  }
  return changes;
}
