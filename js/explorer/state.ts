/** The traits of an Explorer: what all panes share once, everything else of a pane under its name. */

import { AttentionLinesView } from "../attention_lines/view";
import { FusedAttentionMatrixView } from "../fused_attention_matrix/view";
import { HeadFinderView } from "../head_finder/view";
import { LayerStatsChartView } from "../layer_stats_chart/view";
import { PerplexityStripView } from "../perplexity_strip/view";
import type { Frame, Kind, MapState, MaybeAxes, MaybeFrame } from "../shared/state";
import { MAP_TRAITS, type Names, VIEW_TRAITS, type ViewClass } from "../shared/view";

/** The views that are panes, by their names in Python, in the order in which they are shown. */
export const PANES = {
  lines: AttentionLinesView,
  matrix: FusedAttentionMatrixView,
  strip: PerplexityStripView,
  chart: LayerStatsChartView,
  finder: HeadFinderView,
} as const;

export type PaneName = keyof typeof PANES;
export const PANE_NAMES = Object.keys(PANES) as PaneName[];

/** What is the explorer's own. */
interface Own {
  /** The panes that are shown. */
  panes: PaneName[];
  /** The pane that has all the room; "" = none. */
  large: PaneName | "";
  /** What was traced. */
  prompt: Prompt;
  /** Earlier ones, oldest first. */
  earlier: Prompt[];
  /** Heads that are switched off, in order. */
  off: OffHead[];
  off_how: OffHow;
  /** Why heads cannot be switched off, by kind and layer; of the others it says nothing. */
  fixed_heads: Partial<Record<Kind, Record<string, string>>>;
  frame: MaybeFrame<ExplorerFrame>;
  /** The matrix may leave out special tokens: its labels are its own. */
  matrix_axes: MaybeAxes;
}

export type OffHead = readonly [kind: Kind, layer: number, head: number];
/** What stands in the place of a head that is off. */
export type OffHow = "zero" | "mean";

/** What all panes are of. */
export interface ExplorerFrame extends Frame {
  kind: "explorer";
  /** The run that is shown is one without some heads. */
  without?: {
    off: OffHead[];
    how: OffHow;
    /** What is off. */
    words: string;
    /** Which token's surprisal changed most; "" = none has any. */
    change: string;
  };
}

/** The text, or source and target of an encoder-decoder model. */
export interface Prompt {
  text: string;
  /** Null: the model has none, or it writes the target itself. */
  target: string | null;
}

type StateOf<P extends PaneName> = (typeof PANES)[P] extends ViewClass<infer S> ? S : never;
type Carried<P extends PaneName> = {
  [N in keyof StateOf<P> & string as N extends Exclude<keyof MapState, "frame">
    ? never
    : `${P}_${N}`]: StateOf<P>[N];
};
type AllCarried = Carried<"lines"> &
  Carried<"matrix"> &
  Carried<"strip"> &
  Carried<"chart"> &
  Carried<"finder">;

export type ExplorerState = Omit<MapState, "frame"> & Own & AllCarried;

const OWN_TRAITS = {
  panes: true,
  large: true,
  prompt: true,
  earlier: true,
  off: true,
  off_how: true,
  fixed_heads: true,
  matrix_axes: true,
} as const;

/** Names of what all panes share: a pane's own picture is not among it. */
export const SHARED: ReadonlySet<string> = new Set(
  [...Object.keys(VIEW_TRAITS), ...Object.keys(MAP_TRAITS)].filter((name) => name !== "frame"),
);

/** All traits of a pane, by its own names. */
export function paneTraits(pane: PaneName): string[] {
  return [...Object.keys(VIEW_TRAITS), ...Object.keys(PANES[pane].traits)];
}

function carried(): Record<string, true> {
  const names = PANE_NAMES.flatMap((pane) =>
    paneTraits(pane)
      .filter((name) => !SHARED.has(name))
      .map((name) => `${pane}_${name}`),
  );
  return Object.fromEntries(names.map((name) => [name, true as const]));
}

export const EXPLORER_TRAITS = {
  ...MAP_TRAITS,
  ...OWN_TRAITS,
  ...(carried() as Names<keyof AllCarried>),
};
