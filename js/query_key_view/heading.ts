/** Over the rows, on the same columns: the numbers of the dimensions, and the query itself. */

import { type Child, fill, h, sizeCanvas } from "../shared/dom";
import { labelNodes } from "../shared/map/axis";
import { css, type Rgb } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import type { Layout } from "./layout";
import { laneTop, type Paint, paintStrip } from "./painting";
import type { QueryKeyPicture } from "./picture";

/** How the rows of a picture are drawn. */
export interface Look {
  readonly layout: Layout;
  readonly paint: Paint;
  readonly colour: (head: number) => Rgb;
}

/** Rows over those of the keys, for screen readers. */
export const HEADING_ROWS = 2;

/** Room for the number of a dimension. */
const NUMBER_WIDTH = 20;
/** Steps between the dimensions that are named. */
const STEPS = [1, 2, 4, 8, 16, 32, 64, 128];

export function fillHeading(element: HTMLElement, picture: QueryKeyPicture, look: Look): void {
  const { axes, data } = picture;
  const { layout } = look;
  const { query } = data.frame.key;
  const captions = layout.numbers.map(({ caption, title, part }) =>
    heading(`qk-caption is-${part}`, title, caption),
  );
  const label = h("span", { class: "gh-token" }, ...labelNodes(axes.query, query));
  const named = heading("qk-label is-query", `The query, at position ${query}`, label);
  fill(
    element,
    h(
      "div",
      { class: "qk-captions", attrs: { role: "row" }, aria: { rowindex: 1 } },
      heading("qk-caption is-query", "", "dimension"),
      heading("qk-dims", "", ...dimensionNumbers(picture, layout)),
      ...captions,
    ),
    h(
      "div",
      { class: "qk-row is-query", attrs: { role: "row" }, aria: { rowindex: 2 } },
      named,
      ...marks(picture, look),
      h(
        "div",
        { class: "qk-cells", attrs: { role: "gridcell" }, aria: { label: "Query vector" } },
        queryCanvas(picture, look),
      ),
    ),
  );
}

function heading(name: string, title: string, ...children: Child[]): HTMLElement {
  return h(
    "div",
    { class: name, attrs: { role: "columnheader", ...(title ? { title } : {}) } },
    ...children,
  );
}

function queryCanvas({ data, columns }: QueryKeyPicture, { layout, paint }: Look): HTMLElement {
  const canvas = h("canvas", { aria: { hidden: true } });
  const draw = (context: CanvasRenderingContext2D): void => {
    for (const lane of data.heads.keys()) {
      paintStrip(context, {
        ...{ columns, layout, paint, bound: data.queryBound(lane) },
        value: (dim) => data.query(lane, dim),
        ...{ y: laneTop(data, layout, lane) + 1, height: layout.lane - 2 },
      });
    }
  };
  const context = sizeCanvas(canvas, layout.cells, layout.row);
  if (context) draw(context);
  drawnAs(canvas, draw);
  return canvas;
}

/** The numbers of as many dimensions as there is room for. */
function dimensionNumbers({ columns }: QueryKeyPicture, layout: Layout): HTMLElement[] {
  const { columnWidth, nColumns, perColumn } = layout;
  const step = STEPS.find((n) => n * columnWidth >= NUMBER_WIDTH) ?? 256;
  return Array.from({ length: Math.ceil(nColumns / step) }, (_, i) => {
    const at = i * step;
    const dim = columns[at * perColumn] ?? 0;
    const left = `${(at + 0.5) * columnWidth}px`;
    return h("span", { style: { left }, data: { dim } }, dim);
  });
}

/** The number of each head in its colour, where there are several. */
export function marks({ data }: QueryKeyPicture, { colour }: Look): HTMLElement[] {
  if (data.heads.length < 2) return [];
  return data.heads.map((head, lane) =>
    h(
      "span",
      {
        class: "qk-mark",
        style: { "--head": css(colour(head)), "grid-row": String(lane + 1) },
        attrs: { title: `Head ${head}`, role: "gridcell" },
      },
      head,
    ),
  );
}
