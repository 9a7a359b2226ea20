/** The picture below: all lines, what leads out of view, and what each row gives to sinks. */

import { formatWeight } from "../shared/numbers";
import { css, type Rgb } from "../shared/palette";
import type { Inks } from "../shared/theme";
import type { Fan } from "./fan";
import { strongestLine } from "./fan";
import {
  addCurve,
  type Curve,
  type Geometry,
  inView,
  middle,
  trackY,
  unitsInView,
} from "./geometry";
import { type Drawn, hasGutter, type Lines } from "./lines";
import { Strokes } from "./strokes";

export interface Paint {
  inks: Inks;
  /** By map: one ink for heads that are combined, else each head's own. */
  colours: readonly Rgb[];
  /** What a unit is called beside a line that leads out of view. */
  name(side: "query" | "key", unit: number): string;
}

/**
 * How strongly a weight is drawn, 0…1; a little is still seen. Where each head has lines of its own
 * there are many, and the weak ones step back further.
 */
export function strength(weight: number, scale: number, nMaps: number): number {
  const share = weight / Math.max(scale, 1e-9);
  return Math.min(1, Math.max(0.05, share ** (nMaps > 1 ? 1.2 : 0.85)));
}

/** Draws the lines with both ends in view, and of the others a stub at the end that is. */
export function drawLines(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  lines: Lines,
  drawn: Drawn,
  paint: Paint,
): Curve[] {
  const strokes = new Strokes(geometry);
  const curves: Curve[] = [];
  const stubs: Curve[] = [];
  const { scale } = lines.frame;
  for (let i = 0; i < drawn.query.length; i++) {
    const curve = {
      query: drawn.query[i] ?? 0,
      key: drawn.key[i] ?? 0,
      map: drawn.map[i] ?? 0,
      weight: drawn.weight[i] ?? 0,
    };
    const [from, to] = [inView(geometry, "query", curve.query), inView(geometry, "key", curve.key)];
    if (from && to) curves.push(curve);
    else if (from || to) stubs.push(curve);
  }
  for (const { query, key, map, weight } of curves) {
    const y0 = trackY(geometry, "query", query, map);
    strokes.add(map, strength(weight, scale, lines.nMaps), y0, trackY(geometry, "key", key, map));
  }
  const words = addStubs(strokes, geometry, stubs, lines);
  strokes.draw(context, paint.colours);
  for (const stub of words) writeStub(context, geometry, stub, lines, paint);
  return curves;
}

const STUB = 22;
// Weaker stubs say nothing.
const WORTH_WORDS = 0.4;

/** Short ends, bent towards where they lead; returns the strongest of each unit, for its words. */
function addStubs(
  strokes: Strokes,
  geometry: Geometry,
  stubs: readonly Curve[],
  { frame: { scale }, nMaps }: Lines,
): Curve[] {
  const strongest = new Map<string, Curve>();
  for (const stub of stubs) {
    const { atQuery, y, down } = endOf(geometry, stub);
    const path = strokes.path(stub.map, strength(stub.weight, scale, nMaps));
    const x = atQuery ? geometry.x0 : geometry.x1;
    const bend = (down ? 1 : -1) * 5;
    const to = atQuery ? x + STUB : x - STUB;
    path.moveTo(x, y);
    path.quadraticCurveTo((x + to) / 2, y, to, y + bend);
    const unit = atQuery ? `q${stub.query}` : `k${stub.key}`;
    const known = strongest.get(unit);
    if (!known || known.weight < stub.weight) strongest.set(unit, stub);
  }
  return [...strongest.values()];
}

/** The end of a line that is in view, and which way the other one lies. */
function endOf(
  geometry: Geometry,
  { query, key, map }: Curve,
): { atQuery: boolean; y: number; down: boolean } {
  const atQuery = inView(geometry, "query", query);
  const [side, unit] = atQuery ? (["query", query] as const) : (["key", key] as const);
  const other = atQuery ? middle(geometry, "key", key) : middle(geometry, "query", query);
  return { atQuery, y: trackY(geometry, side, unit, map), down: other > 0 };
}

/** "↑ the 0.31" behind a stub. */
function writeStub(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  stub: Curve,
  { frame: { scale }, nMaps }: Lines,
  { inks, name }: Paint,
): void {
  const share = strength(stub.weight, scale, nMaps);
  if (share < WORTH_WORDS) return;
  const { atQuery, y, down } = endOf(geometry, stub);
  const other = atQuery ? name("key", stub.key) : name("query", stub.query);
  const words = `${down ? "↓" : "↑"} ${other} ${formatWeight(stub.weight)}`;
  const x = atQuery ? geometry.x0 + STUB + 3 : geometry.x1 - STUB - 3;
  const align = atQuery ? "left" : "right";
  write(context, geometry, words, x, y + (down ? 5 : -5), align, inks.soft, inks, true);
}

type Place = "left" | "center" | "right";
type Height = "top" | "middle" | "bottom";
const LINE = 13;

/** Text, upright whichever way the units run. */
export function write(
  context: CanvasRenderingContext2D,
  { horizontal }: Geometry,
  words: string,
  x: number,
  y: number,
  align: CanvasTextAlign,
  colour: string,
  inks: Inks,
  overLines = false,
): void {
  context.save();
  context.font = `11px ${inks.font}`;
  context.textBaseline = "middle";
  context.textAlign = align;
  let at: [x: number, y: number] = [x, y];
  if (horizontal) {
    context.transform(0, 1, 1, 0, 0, 0);
    context.textAlign = "center";
    context.textBaseline = align === "left" ? "top" : "bottom";
    at = [y, x];
  }
  if (overLines) {
    // A line that shows between a name and its number is read as a minus.
    const { width } = context.measureText(words);
    const left = at[0] - { left: 0, center: width / 2, right: width }[context.textAlign as Place];
    const above =
      at[1] - { top: 0, middle: LINE / 2, bottom: LINE }[context.textBaseline as Height];
    context.fillStyle = css(inks.paper);
    context.fillRect(left - 2, above, width + 4, LINE);
  }
  context.fillStyle = colour;
  context.fillText(words, ...at);
  context.restore();
}

/** What each row gives to sinks: a bar between the tokens and the lines, on a scale from 0 to 1. */
export function drawGutter(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  lines: Lines,
  fans: readonly Fan[],
  { inks }: Paint,
): void {
  const { gutterX, gutter } = geometry;
  if (gutter <= 0 || !hasGutter(lines)) return;
  const lit = new Set(fans.filter(({ side }) => side === "query").map(({ unit }) => unit));
  const [from, to] = unitsInView(geometry, "query");
  for (let row = from; row < to; row++) {
    const share = lines.sinks.to(row);
    if (!(share > 0)) continue;
    const thickness = Math.min(7, geometry.query.size(row) - 8);
    const y = middle(geometry, "query", row) - thickness / 2;
    context.globalAlpha = fans.length === 0 || lit.has(row) ? 1 : 0.25;
    context.fillStyle = inks.hairline;
    context.fillRect(gutterX + 2, y, gutter - 2, thickness);
    context.fillStyle = inks.faint;
    context.fillRect(gutterX + 2, y, (gutter - 2) * Math.min(1, share), thickness);
  }
  context.globalAlpha = 1;
}

/** The lines of lit tokens. */
export function drawFans(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  fans: readonly Fan[],
  lines: Lines,
  paint: Paint,
): void {
  const strokes = new Strokes(geometry);
  const { faintest } = lines.frame;
  for (const fan of fans) {
    // A token that looks a little at everything has only weak lines: its strongest sets the scale.
    const scale = Math.max(strongestLine(fan), faintest);
    for (let map = 0; map < lines.nMaps; map++) {
      for (let other = 0; other < fan.n; other++) {
        const weight = fan.drawn[map * fan.n + other] ?? 0;
        if (weight < faintest) continue;
        const [query, key] = fan.side === "query" ? [fan.unit, other] : [other, fan.unit];
        const y0 = trackY(geometry, "query", query, map);
        const y1 = trackY(geometry, "key", key, map);
        if (Math.max(y0, y1) < -20 || Math.min(y0, y1) > geometry.height + 20) continue;
        strokes.add(map, strength(weight, scale, lines.nMaps), y0, y1);
      }
    }
  }
  strokes.draw(context, paint.colours);
}

/** One line on its own, above all others. */
export function drawLine(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  { query, key, map }: Curve,
  { inks, colours }: Paint,
): void {
  const path = new Path2D();
  const y0 = trackY(geometry, "query", query, map);
  addCurve(path, geometry, y0, trackY(geometry, "key", key, map));
  context.strokeStyle = css(inks.paper);
  context.lineWidth = 6;
  context.stroke(path);
  context.strokeStyle = css(colours[map] ?? [128, 128, 128]);
  context.lineWidth = 3;
  context.stroke(path);
}

/** The colours of the maps: one ink, or where each head is drawn by itself its own. */
export function mapColours(lines: Lines, ink: Rgb, ofHead: (head: number) => Rgb): Rgb[] {
  const separate = lines.frame.key.aggregate === "separate";
  return separate ? Array.from(lines.heads, ofHead) : [ink];
}
