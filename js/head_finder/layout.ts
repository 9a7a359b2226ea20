/** Where the tiles of heads are: in a grid of layers and heads, or one after the other. */

import type { FinderData, Head } from "./data";

/** A tile, in pixels of the plot. */
export interface Place {
  readonly head: Head;
  readonly x: number;
  readonly y: number;
}

/** Words beside tiles: numbers of layers and heads. */
export interface Label {
  readonly text: string;
  /** Beside it, softly. */
  readonly value?: string;
  readonly x: number;
  readonly y: number;
  readonly align: "center" | "right";
  /** The layer or head that it names, for emphasis. */
  readonly layer?: number;
  readonly head?: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Size of the picture on a tile. */
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly places: readonly Place[];
  readonly labels: readonly Label[];
  /** Tiles in a row of reading, for keys; 0 = rows are the layers. */
  readonly perRow: number;
  at(x: number, y: number): Place | null;
  of(head: Head): Place | null;
}

/** Pixels for the number of a layer, and for the numbers of heads above. */
const LEFT = 26;
const TOP = 18;
const BETWEEN = 28;
const LARGEST = 112;
/** Of a list: it is read along, not at a glance. */
const LARGEST_LISTED = 64;
/** No picture is read below this, however many there are. */
const SMALLEST = { wide: 20, narrow: 34 };
const MOST_COLUMNS = 4;
/** Height in which a grid is to be seen at a glance. */
const GLANCE = 660;
const WIDE_GLANCE = 760;
const TALL = 400;
const CAPTION = 16;
/** Pixels of a letter of it, about. */
const LETTER = 6.2;

interface Box {
  width: number;
  /** Pixels to fill; 0 = as many as a glance takes in. */
  height: number;
  /** Narrow pages scroll rather than show what nobody can read. */
  narrow: boolean;
  /** Height of a picture for each pixel of its width. */
  aspect: number;
}

/** Where there is much room across, the picture is higher, too. */
function glance(width: number): number {
  return Math.min(WIDE_GLANCE, Math.max(GLANCE, 0.7 * width));
}

/** A gap that leaves the tiles apart, however small they are. */
function gapOf(tile: number): number {
  return tile >= 40 ? 4 : tile >= 24 ? 3 : 2;
}

/** Layers below each other, where there is room in several columns of layers, as in a newspaper. */
export function gridLayout(
  data: FinderData,
  layers: readonly number[],
  box: Box,
  only: readonly number[] = [],
): Layout {
  const heads = only.length ? only : Array.from({ length: data.most }, (_, head) => head);
  const { columns, step } = fitted(layers.length, Math.max(1, heads.length), box);
  const gap = gapOf(step);
  const tileWidth = step - gap;
  const tileHeight = Math.max(6, Math.round(tileWidth * box.aspect));
  const rowStep = tileHeight + gap;
  const perColumn = Math.ceil(layers.length / columns);
  const blockWidth = LEFT + heads.length * step + BETWEEN;
  const places: Place[] = [];
  const labels: Label[] = [];
  const every = numberedEvery(heads.length, step);
  for (let column = 0; column < columns; column++) {
    const left = column * blockWidth + LEFT;
    for (let n = 0; n < heads.length; n += every) {
      const head = heads[n] ?? 0;
      const x = left + n * step + tileWidth / 2;
      labels.push({ text: String(head), x, y: TOP - 9, align: "center", head });
    }
  }
  for (const [n, layer] of layers.entries()) {
    const left = Math.floor(n / perColumn) * blockWidth + LEFT;
    const y = TOP + (n % perColumn) * rowStep;
    labels.push({ text: String(layer), x: left - 7, y: y + tileHeight / 2, align: "right", layer });
    for (const [column, head] of heads.entries()) {
      const found = data.at(layer, head);
      if (found) places.push({ head: found, x: left + column * step, y });
    }
  }
  const used = Math.ceil(layers.length / Math.max(1, perColumn));
  const width = used * blockWidth - BETWEEN;
  const height = TOP + perColumn * rowStep;
  return {
    ...searched(places, step, rowStep),
    ...{ width, height, labels, perRow: 0 },
    tileWidth,
    tileHeight,
  };
}

/** As many columns of layers as leave the largest tiles; of two that do, those that are no tower. */
function fitted(nLayers: number, most: number, { width, height, narrow, aspect }: Box) {
  let best = { columns: 1, step: 0 };
  for (let columns = 1; columns <= Math.min(MOST_COLUMNS, Math.max(1, nLayers)); columns++) {
    const rows = Math.ceil(nLayers / columns);
    const across = (width - columns * LEFT - (columns - 1) * BETWEEN) / (columns * most);
    const down = ((height || glance(width)) - TOP) / rows / aspect;
    const step = Math.floor(
      Math.min(across, Math.max(down, SMALLEST[narrow ? "narrow" : "wide"]), LARGEST),
    );
    const tall = Math.ceil(nLayers / best.columns) * best.step * aspect > TALL;
    if (step > best.step || (step === best.step && tall)) best = { columns, step };
  }
  return { ...best, step: Math.max(8, best.step) };
}

/** Numbers of heads do not run into each other. */
function numberedEvery(most: number, step: number): number {
  const room = most > 10 ? 18 : 10;
  return [1, 2, 5, 10, 20].find((every) => every * step >= room) ?? 50;
}

/** Heads one after the other in reading order, each with its name below. */
export function listLayout(
  heads: readonly Head[],
  box: Box,
  value: (head: Head) => string,
): Layout {
  const gap = 8;
  const captions = heads.map((head) => `${head.layer}·${head.head} ${value(head)}`.trim().length);
  const least = Math.max(44, Math.ceil(LETTER * Math.max(0, ...captions)) - gap + 4);
  const fits = (size: number): boolean => {
    const perRow = Math.max(1, Math.floor((box.width + gap) / (size + gap)));
    const rows = Math.ceil(heads.length / perRow);
    return rows * (size * box.aspect + CAPTION + gap) <= (box.height || glance(box.width));
  };
  let size = Math.max(least, LARGEST_LISTED);
  while (size > least && !fits(size)) size -= 2;
  const tileHeight = Math.max(12, Math.round(size * box.aspect));
  const perRow = Math.max(1, Math.floor((box.width + gap) / (size + gap)));
  const [stepX, stepY] = [size + gap, tileHeight + CAPTION + gap];
  const places = heads.map((head, n) => ({
    head,
    x: (n % perRow) * stepX,
    y: Math.floor(n / perRow) * stepY,
  }));
  const labels = places.map(({ head, x, y }) => ({
    text: `${head.layer}·${head.head}`,
    value: value(head),
    ...{ x: x + size / 2, y: y + tileHeight + 8, align: "center" as const },
  }));
  const height = Math.ceil(heads.length / perRow) * stepY;
  const width = Math.min(heads.length, perRow) * stepX - gap;
  return {
    ...searched(places, stepX, stepY),
    ...{ width: Math.max(0, width), height, labels, perRow, tileWidth: size, tileHeight },
  };
}

/** Finds tiles by where they are; the gap to the next belongs to a tile. */
function searched(places: readonly Place[], stepX: number, stepY: number) {
  const byId = new Map(places.map((place) => [place.head.id, place]));
  return {
    places,
    at: (x: number, y: number): Place | null =>
      places.find((one) => x >= one.x && x < one.x + stepX && y >= one.y && y < one.y + stepY) ??
      null,
    of: (head: Head): Place | null => byId.get(head.id) ?? null,
  };
}
