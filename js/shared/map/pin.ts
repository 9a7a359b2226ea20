/** Units of a map pointed at and pinned: from labels to tokens and back. */

import { hoverPatch, type Lit, litTokens, selectPatch } from "../lit";
import type { Column, Side } from "./axis";
import type { MapPicture } from "./picture";

/** A unit on one side of the map. */
export interface At {
  side: Side;
  unit: number;
}

export interface LitUnits {
  hovered: number | null;
  selected: ReadonlySet<number>;
}

type Sides = Pick<MapPicture<unknown>, "query" | "key">;

/** The label that an event is on. */
export function labelAt(event: Event): At | null {
  const label = event.target instanceof Element ? event.target.closest("[data-unit]") : null;
  if (!(label instanceof HTMLElement)) return null;
  return { side: label.dataset.side === "key" ? "key" : "query", unit: Number(label.dataset.unit) };
}

/** The units of a side that are lit. */
export function litUnits(state: Lit, of: Column): LitUnits {
  const { hovered, selected } = litTokens(state, of.axis.sequence);
  const units = selected.map((token) => of.unitOf(token)).filter((unit) => unit !== null);
  return { hovered: of.unitOf(hovered), selected: new Set(units) };
}

/** What has to change for one unit to be pointed at and no other; null = none. */
export function pointPatch(state: Lit, sides: Sides, at: At | null): Partial<Lit> {
  const patch: Partial<Lit> = {};
  for (const { axis } of new Set([sides.query, sides.key])) {
    const { sequence } = axis;
    const own = at && sides[at.side].axis.sequence === sequence ? sides[at.side] : null;
    const now = litTokens(state, sequence).hovered;
    // Any token of a word stands for it.
    if (own && at ? own.unitOf(now) === at.unit : now === null) continue;
    Object.assign(patch, hoverPatch(sequence, own && at ? own.firstToken(at.unit) : null));
  }
  return patch;
}

/** Pins a unit, or lets it go. */
export function pinPatch(state: Lit, sides: Sides, { side, unit }: At): Partial<Lit> {
  const of = sides[side];
  const { selected } = litTokens(state, of.axis.sequence);
  const kept = selected.filter((token) => of.unitOf(token) !== unit);
  if (kept.length === selected.length) kept.push(of.firstToken(unit));
  return selectPatch(
    of.axis.sequence,
    kept.sort((a, b) => a - b),
  );
}
