/** Tiles on a canvas: small pictures of patterns out of one large one, or cells of a metric. */

import { css, inkOn, type Rgb, type Theme, tableColour } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { type Tables, TILE, tablesOf } from "./colours";
import type { FinderData, Head, Metric } from "./data";
import type { Layout, Place } from "./layout";
import { shortValue } from "./words";

/** Pixels of a tile that a number has room in. */
const NUMBER_FROM = 26;
const FADED = 0.14;

/** All patterns in one picture, coloured once for a theme. */
export interface Atlas {
  readonly data: FinderData;
  readonly theme: Theme;
  readonly tables: Tables;
  readonly picture: HTMLCanvasElement;
}

export function createAtlas(data: FinderData, theme: Theme): Atlas {
  const tables = tablesOf(theme);
  const picture = document.createElement("canvas");
  const { width, height, most, layers } = data;
  picture.width = most * width;
  picture.height = layers.length * height;
  const context = picture.getContext("2d");
  if (context && picture.width && picture.height) {
    const image = context.createImageData(picture.width, picture.height);
    colour(data, tables, new Uint32Array(image.data.buffer), picture.width);
    context.putImageData(image, 0, 0);
  }
  return { data, theme, tables, picture };
}

/** One 32-bit write for each pixel: there are up to a million. */
function colour(data: FinderData, tables: Tables, pixels: Uint32Array, stride: number): void {
  const [weight, sink] = [packed(tables.weight), packed(tables.sink)];
  const { width, height, patterns, sinks } = data;
  for (const { id, index, head } of data.heads) {
    const from = id * width * height;
    for (let y = 0; y < height; y++) {
      let to = (index * height + y) * stride + head * width;
      for (let x = 0; x < width; x++) {
        const table = sinks[id * width + x] ? sink : weight;
        pixels[to++] = table[patterns[from + y * width + x] ?? 0] ?? 0;
      }
    }
  }
}

/** 256 colours as the canvas holds them, whichever end comes first on this machine. */
function packed(table: Uint8ClampedArray): Uint32Array {
  const bytes = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    bytes.set([table[3 * i] ?? 0, table[3 * i + 1] ?? 0, table[3 * i + 2] ?? 0, 255], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

export interface Painting {
  readonly layout: Layout;
  readonly inks: Inks;
  /** Null = patterns are drawn. */
  readonly metric: Metric | null;
  /** Heads that are filtered out stay in their place, faded. */
  passes(head: Head): boolean;
}

export function paintTiles(
  context: CanvasRenderingContext2D,
  atlas: Atlas,
  { layout, inks, metric, passes }: Painting,
): void {
  const { tileWidth, tileHeight } = layout;
  if (!metric) smooth(context, atlas, tileWidth);
  context.font = `${tileWidth >= 36 ? 11 : 10}px ${inks.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const place of layout.places) {
    context.globalAlpha = passes(place.head) ? 1 : FADED;
    if (metric) paintCell(context, atlas, metric, place, layout);
    else drawPattern(context, atlas, place.head, place.x, place.y, tileWidth, tileHeight);
  }
  context.globalAlpha = 1;
}

/** Pixels are seen as such where there is room for them; else they are averaged. */
function smooth(context: CanvasRenderingContext2D, { data }: Atlas, tileWidth: number): void {
  context.imageSmoothingEnabled = tileWidth * context.getTransform().a < data.width * 1.5;
  context.imageSmoothingQuality = "medium";
}

export function drawPattern(
  context: CanvasRenderingContext2D,
  { data, picture }: Atlas,
  { index, head }: Head,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  const [sx, sy] = [head * data.width, index * data.height];
  context.drawImage(picture, sx, sy, data.width, data.height, x, y, width, height);
}

function paintCell(
  context: CanvasRenderingContext2D,
  { tables, theme }: Atlas,
  metric: Metric,
  { head, x, y }: Place,
  { tileWidth, tileHeight }: Layout,
): void {
  const value = metric.of(head);
  const known = Number.isFinite(value);
  const share = value / metric.top;
  const seen = metric.signed
    ? tableColour(tables.signed, (1 + share) / 2)
    : tableColour(tables.weight, share);
  const colour: Rgb = known ? seen : TILE[theme];
  context.fillStyle = css(colour);
  context.fillRect(x, y, tileWidth, tileHeight);
  if (known && (tileWidth < NUMBER_FROM || tileHeight < 14)) return;
  context.fillStyle = inkOn(colour);
  context.fillText(
    known ? shortValue(metric, value) : "–",
    x + tileWidth / 2,
    y + tileHeight / 2 + 0.5,
  );
}

/** A single pattern as it came from the kernel, larger than those of the frame. */
export interface Large {
  readonly values: ArrayLike<number>;
  readonly sinks: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

export function paintLarge(canvas: HTMLCanvasElement, large: Large, { tables }: Atlas): void {
  const { width, height, values, sinks } = large;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context || width * height === 0) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [weight, sink] = [packed(tables.weight), packed(tables.sink)];
  for (let i = 0; i < width * height; i++) {
    pixels[i] = (sinks[i % width] ? sink : weight)[values[i] ?? 0] ?? 0;
  }
  context.putImageData(image, 0, 0);
}
