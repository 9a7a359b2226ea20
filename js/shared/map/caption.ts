/** What a saved picture of a map shows, in words: under its title the controls are not there. */

import { headsOf, kindInfo } from "../scene";
import { hasFrame, type MapState, type SinksPart, type TraceState } from "../state";

/** "Cross-attention, layer 1, mean of heads 0, 2 of 4, words": of what is drawn, not of what is asked. */
export function mapCaption(state: TraceState & Partial<Pick<MapState, "aggregate">>): string {
  const frame = hasFrame(state.frame) ? state.frame : null;
  const key = (frame?.key ?? {}) as Partial<MapState>;
  const drawn = { ...state, ...key, heads: key.heads?.length ? key.heads : state.heads };
  const title = kindInfo(state.scene, drawn.kind)?.title ?? "Attention";
  const { sinks } = (frame ?? {}) as { sinks?: Pick<SinksPart, "mode"> };
  return [
    title,
    `layer ${drawn.layer}`,
    headWords(drawn.heads, headsOf(drawn), drawn.aggregate),
    drawn.unit === "word" ? "words" : "tokens",
    { aside: "sinks set aside", hidden: "without sinks, renormalised", shown: "" }[
      sinks?.mode ?? "shown"
    ],
  ]
    .filter(Boolean)
    .join(", ");
}

function headWords(heads: readonly number[], n: number, aggregate?: string): string {
  if (heads.length === 1) return `head ${heads[0]} of ${n}`;
  if (n <= 1) return "";
  const which = heads.length ? `heads ${heads.join(", ")} of ${n}` : `all ${n} heads`;
  return aggregate === "mean" || aggregate === "max" ? `${aggregate} of ${which}` : which;
}
