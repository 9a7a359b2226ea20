/** The tiles as a picture: places, and what keys do. */

import type { FinderData, Head } from "./data";
import type { Layout } from "./layout";
import type { Picture } from "./picture";

/** Layers that a page key goes. */
const PAGE = 5;

export function tilesPicture(data: FinderData, layout: Layout, layers: readonly number[]): Picture {
  const { places, perRow } = layout;
  const order = places.map(({ head }) => head);
  const numbers = new Map(order.map((head, n) => [head.id, n]));
  const step = perRow ? listStep(order, perRow) : gridStep(data, layers, order);
  return {
    ...{ width: layout.width, height: layout.height, round: false, step },
    boxOf(head) {
      const place = layout.of(head);
      return (
        place && { x: place.x, y: place.y, width: layout.tileWidth, height: layout.tileHeight }
      );
    },
    at: (x, y) => layout.at(x, y)?.head ?? null,
    cellOf(head) {
      const n = numbers.get(head.id) ?? 0;
      return perRow
        ? [Math.floor(n / perRow) + 1, (n % perRow) + 1]
        : [layers.indexOf(head.layer) + 1, head.head + 1];
    },
    rows: perRow ? Math.ceil(order.length / perRow) : layers.length,
    columns: perRow ? Math.min(perRow, order.length) : data.most,
    first: order[0] ?? null,
  };
}

function gridStep(
  data: FinderData,
  layers: readonly number[],
  order: readonly Head[],
): Picture["step"] {
  return ({ layer, head }, key, ctrl) => {
    const row = layers.indexOf(layer);
    const last = (data.nHeads[data.layers.indexOf(layer)] ?? 1) - 1;
    const within = (n: number): number => Math.min(layers.length - 1, Math.max(0, n));
    const inRow = (to: number): Head | null => data.at(layer, Math.min(last, Math.max(0, to)));
    const toRow = (to: number): Head | null => {
      const other = layers[within(to)] ?? layer;
      const most = (data.nHeads[data.layers.indexOf(other)] ?? 1) - 1;
      return data.at(other, Math.min(most, head));
    };
    switch (key) {
      case "ArrowLeft":
        return inRow(head - 1);
      case "ArrowRight":
        return inRow(head + 1);
      case "ArrowUp":
        return toRow(row - 1);
      case "ArrowDown":
        return toRow(row + 1);
      case "PageUp":
        return toRow(row - PAGE);
      case "PageDown":
        return toRow(row + PAGE);
      case "Home":
        return ctrl ? (order[0] ?? null) : inRow(0);
      case "End":
        return ctrl ? (order.at(-1) ?? null) : inRow(last);
      default:
        return null;
    }
  };
}

/** Keys along an order of heads: so many places for each. */
export function orderStep(
  order: readonly Head[],
  by: (key: string) => number | null,
): Picture["step"] {
  const numbers = new Map(order.map((head, n) => [head.id, n]));
  return (from, key) => {
    const places = by(key);
    if (places === null) return null;
    const to = (numbers.get(from.id) ?? 0) + places;
    return order[Math.min(order.length - 1, Math.max(0, to))] ?? null;
  };
}

function listStep(order: readonly Head[], perRow: number): Picture["step"] {
  const places: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -perRow,
    ArrowDown: perRow,
    PageUp: -PAGE * perRow,
    PageDown: PAGE * perRow,
    Home: -order.length,
    End: order.length,
  };
  return orderStep(order, (key) => places[key] ?? null);
}
