/** How the picture is laid out in the room that the page leaves it. */

import { labelText, type Side } from "../shared/map/axis";
import { labelWidths } from "../shared/map/measure";
import {
  evenTrack,
  type Geometry,
  layout,
  layoutRows,
  MARGIN,
  mapTracks,
  measuredTrack,
  rowHeightFor,
  type Wishes,
} from "./geometry";
import type { LinesPicture } from "./picture";

/**
 * What was read from the page: to read it is to have the page laid out. Of columns the part in
 * view; of rows how long they may be, and how high all is where that is fixed.
 */
export interface Room {
  readonly width: number;
  readonly height: number;
}

/** Measures text as the labels are written. */
export interface Ruler {
  context(): CanvasRenderingContext2D | null;
  readonly font: string;
}

/** Pixels of a unit along the text, and of all units of columns. */
export function rowsOf({ query, key }: LinesPicture): { rowHeight: number; tall: number } {
  const rows = Math.max(query.length, key.length);
  const rowHeight = rowHeightFor(rows);
  return { rowHeight, tall: rows * rowHeight };
}

/** Two columns; `scroll` is where the text has been scrolled to. */
export function inColumns(
  picture: LinesPicture,
  room: Room,
  ruler: Ruler,
  scroll: number,
): Geometry {
  const { rowHeight, tall } = rowsOf(picture);
  const height = Math.min(tall, room.height);
  picture.widths ??= labelWidths(picture, ruler.context(), ruler.font);
  const wishes = { ...wishesOf(picture), minimap: height < tall - 1 };
  return {
    ...layout(room.width, wishes),
    ...{ horizontal: false, height, scroll },
    query: evenTrack(picture.query.length, rowHeight),
    key: evenTrack(picture.key.length, rowHeight),
    tracks: mapTracks(picture.content?.nMaps ?? 1, rowHeight),
  };
}

/** Two rows, one above the other. */
export function inRows(picture: LinesPicture, room: Room, ruler: Ruler, scroll: number): Geometry {
  const sizes = unitSizes(picture, ruler);
  return {
    ...layoutRows(room.height, wishesOf(picture)),
    ...{ horizontal: true, height: room.width, scroll },
    query: measuredTrack(stretched(sizes.query, room.width - MARGIN), MARGIN),
    key: measuredTrack(stretched(sizes.key, room.width - MARGIN), MARGIN),
    tracks: mapTracks(picture.content?.nMaps ?? 1, 20),
  };
}

function wishesOf({ widths, content }: LinesPicture): Wishes {
  const labels = widths ?? { query: 80, key: 80 };
  return { labels, heads: content?.frame.n_heads ?? 1, gutter: true, minimap: false };
}

/** Room that each unit needs in a row of them; of one text the same above and below. */
function unitSizes({ axes, query, key }: LinesPicture, ruler: Ruler): Record<Side, number[]> {
  const { font } = ruler;
  const context = ruler.context();
  if (context) context.font = font;
  const sizes = (side: Side): number[] =>
    Array.from({ length: axes[side].labels.length }, (_, unit) => {
      const width = context?.measureText(labelText(axes[side], unit)).width ?? 40;
      return Math.round(Math.max(36, width + 18));
    });
  const [above, below] = [sizes("query"), sizes("key")];
  if (query.axis.sequence !== key.axis.sequence) return { query: above, key: below };
  const both = above.map((size, unit) => Math.max(size, below[unit] ?? 0));
  return { query: both, key: both };
}

/** Units of a short text with more room between them, as far as there is some. */
function stretched(sizes: readonly number[], room: number): number[] {
  const total = sizes.reduce((a, b) => a + b, 0);
  const by = Math.min(1.8, Math.max(1, room / Math.max(1, total)));
  return sizes.map((size) => Math.floor(size * by));
}
