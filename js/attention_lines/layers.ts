/** What is painted on the two canvases: the lines, and above them what is lit or pointed at. */

import { sizeCanvas } from "../shared/dom";
import { type Side, unitName } from "../shared/map/axis";
import { headColour, type Rgb, type Theme } from "../shared/palette";
import { type Inks, parseRgb } from "../shared/theme";
import { drawValues, nameRows } from "./cells";
import { drawFans, drawGutter, drawLine, drawLines, mapColours, type Paint } from "./drawing";
import type { Fan } from "./fan";
import { type Curve, type Geometry, unitsInView } from "./geometry";
import { type Lines, linesBetween, type Rule } from "./lines";
import type { LinesPicture } from "./picture";

/** All that a painting is of. */
export interface Painting {
  readonly geometry: Geometry;
  readonly picture: LinesPicture;
  readonly lines: Lines;
  /** Which lines; null = none but the fans. */
  readonly rule: Rule | null;
  readonly fans: readonly Fan[];
  readonly inks: Inks;
  readonly theme: Theme;
}

type Context = CanvasRenderingContext2D;

/** Draws the lines of the rows in view; where they are is returned. */
export function drawBase(context: Context, of: Painting): Curve[] {
  const { geometry, lines, rule } = of;
  const drawn = rule ? linesBetween(lines, rule, ...rowsInView(geometry)) : null;
  return drawn ? drawLines(context, geometry, lines, drawn, paintOf(of)) : [];
}

/** Draws fans, values and the line under the pointer; returns whose values stand in columns. */
export function drawOverlay(
  context: Context,
  of: Painting,
  line: Curve | null,
): ReturnType<typeof drawValues> {
  const { geometry, picture, lines, fans } = of;
  const paint = paintOf(of);
  drawGutter(context, geometry, lines, fans, paint);
  drawFans(context, geometry, fans, lines, paint);
  const { heads, frame } = lines;
  const combined = heads.length === 1 ? `head ${heads[0]}` : frame.key.aggregate;
  const named = drawValues(context, geometry, fans, lines, {
    inks: paint.inks,
    ofHead: ofHead(of),
    nameOf: ({ side, unit }) => unitName(picture.axes[side], unit),
    combined: combined === "separate" ? "mean" : combined,
  });
  if (geometry.horizontal) nameRows(context, named, paint);
  if (line) drawLine(context, geometry, line, paint);
  return geometry.horizontal ? [] : named;
}

/** Colours of the heads that are drawn. */
function ofHead({ lines, theme }: Painting): (head: number) => Rgb {
  return headColour(Array.from(lines.heads), theme);
}

/** Marks around a quoted word. */
const QUOTES = /[‘’\u2068\u2069]/g;

function paintOf(of: Painting): Paint {
  const { inks, lines, theme } = of;
  const { axes } = of.picture;
  const ink = parseRgb(inks.ink) ?? (theme === "dark" ? [236, 238, 241] : [27, 30, 35]);
  return {
    inks,
    colours: mapColours(lines, ink, ofHead(of)),
    // Beside a number a word needs no quotes; a full stop does.
    name: (side: Side, unit: number) => {
      const name = unitName(axes[side], unit);
      return /[\p{L}\p{N}]/u.test(axes[side].labels[unit] ?? "") ? name.replace(QUOTES, "") : name;
    },
  };
}

/** Changes x and y round. */
const TURNED = [0, 1, 1, 0, 0, 0] as const;

/** Lets a context draw y along the units, whichever way these run. */
export function turn(context: Context | null, { horizontal }: Geometry): Context | null {
  if (horizontal) context?.transform(...TURNED);
  return context;
}

/** The context of a canvas over what is in view. */
export function canvasOf(canvas: HTMLCanvasElement, geometry: Geometry): Context | null {
  const { horizontal, width, height } = geometry;
  const [wide, high] = horizontal ? [height, width] : [width, height];
  return turn(sizeCanvas(canvas, wide, high), geometry);
}

/** Rows whose lines are wanted: those in view, and those beside the keys in view. */
export function rowsInView(geometry: Geometry): [from: number, to: number] {
  const [query, key] = [unitsInView(geometry, "query"), unitsInView(geometry, "key")];
  return [Math.min(query[0], key[0]), Math.max(query[1], key[1])];
}
