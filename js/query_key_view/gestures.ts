/** Pointer and keys over the rows, as what they mean. */

import { handled } from "../shared/keys";
import { columnAt, type Layout } from "./layout";
import { drawnDim, laneTop } from "./painting";
import type { QueryKeyPicture } from "./picture";
import type { Cells } from "./products";

/** A key in one head, and perhaps a dimension of it. */
export interface At {
  readonly key: number;
  readonly lane: number;
  /** The column of the picture. */
  readonly column: number | null;
}

export interface Meanings {
  readonly picture: QueryKeyPicture | null;
  readonly layout: Layout | null;
  /** Where keys are. */
  readonly at: At | null;
  /** Where keys begin. */
  readonly first: At | null;
  point(at: At | null, how: "pointer" | "key"): void;
  /** Looks at a key closely, or no more. */
  keep(key: number): void;
  pin(key: number): void;
}

/** The key, head and column that an event is on. */
function atPointer(event: MouseEvent, of: Meanings): At | null {
  const { picture, layout } = of;
  const row =
    event.target instanceof Element ? event.target.closest<HTMLElement>("[data-key]") : null;
  const cells = row?.querySelector(".qk-cells");
  if (!picture || !layout || !row || !cells) return null;
  const { left, top } = cells.getBoundingClientRect();
  const { data } = picture;
  const y = event.clientY - top - laneTop(data, layout, 0);
  const lane = Math.min(data.heads.length - 1, Math.max(0, Math.floor(y / layout.lane)));
  return { key: Number(row.dataset.key), lane, column: columnAt(layout, event.clientX - left) };
}

export function listen(grid: HTMLElement, of: Meanings, signal: AbortSignal): void {
  grid.addEventListener("pointermove", (event) => of.point(atPointer(event, of), "pointer"), {
    signal,
  });
  const leave = (): void => {
    // Keys stay where they are.
    if (!grid.matches(":focus-visible")) of.point(null, "pointer");
  };
  grid.addEventListener("pointerleave", leave, { signal });
  grid.addEventListener("blur", () => of.point(null, "key"), { signal });
  grid.addEventListener(
    "focus",
    () => {
      // A click brings the focus, too: the pointer says where.
      if (!of.at && grid.matches(":focus-visible")) of.point(of.first, "key");
    },
    { signal },
  );
  grid.addEventListener(
    "click",
    (event) => {
      const at = atPointer(event, of);
      if (!at) return;
      const isLabel = event.target instanceof Element && event.target.closest(".gh-token");
      if (isLabel) of.pin(at.key);
      else of.keep(at.key);
    },
    { signal },
  );
}

/** Moves by a key of the grid; false = not one of its. */
export function gridKey(event: KeyboardEvent, of: Meanings, page: number): boolean {
  const from = of.at ?? of.first;
  if (!of.picture || !of.layout || !from) return false;
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === "Enter") of.pin(from.key);
  else if (event.key === " ") of.keep(from.key);
  else {
    const to = stepTo(event.key, from, of.picture, { nColumns: of.layout.nColumns, page });
    if (!to) return false;
    of.point(of.at ? to : from, "key");
  }
  handled(event);
  return true;
}

/** Where a key leads to; null = nowhere. */
export function stepTo(
  key: string,
  from: At,
  { data, order }: QueryKeyPicture,
  { nColumns, page }: { nColumns: number; page: number },
): At | null {
  const nLanes = data.heads.length;
  const last = data.nKeys - 1;
  const at = order.placeOf(from.key) * nLanes + from.lane;
  const to = (place: number): At => {
    const within = Math.min((last + 1) * nLanes - 1, Math.max(0, place));
    const key = order.keyAt(Math.floor(within / nLanes));
    return { key, lane: within % nLanes, column: from.column };
  };
  const across = (by: 1 | -1): At => {
    const { column } = from;
    if (column === null) return { ...from, column: by > 0 ? 0 : null };
    const next = column + by;
    return { ...from, column: next < 0 ? null : Math.min(nColumns - 1, next) };
  };
  switch (key) {
    case "ArrowDown":
      return to(at + 1);
    case "ArrowUp":
      return to(at - 1);
    case "PageDown":
      return to(at + page * nLanes);
    case "PageUp":
      return to(at - page * nLanes);
    case "Home":
      return to(from.lane);
    case "End":
      return to(last * nLanes + from.lane);
    case "ArrowRight":
      return across(1);
    case "ArrowLeft":
      return across(-1);
    default:
      return null;
  }
}

/** The dimension that a column shows of a key. */
export function dimAt(
  at: At,
  { columns }: QueryKeyPicture,
  layout: Layout,
  cells: Cells | null,
): number | null {
  if (at.column === null) return null;
  return drawnDim(columns, at.column, layout, (dim) => cells?.product(at.lane, dim) ?? 0);
}
