/** A matrix of all pairs of places; a press on a cell selects the two. */

import { unpack } from "../shared/arrays";
import { svg } from "../shared/dom";
import { handled } from "../shared/keys";
import { css, sequentialTable, type Theme, tableColour } from "../shared/palette";
import { axisName } from "./plot";
import { formatValue } from "./scales";
import type { GridPanel } from "./state";

export interface PairRoom {
  width: number;
  theme: Theme;
  canChoosePairs(): boolean;
  onTokens(tokens: readonly number[]): void;
}

const LEFT = 46;
const [TOP, BOTTOM] = [8, 34];
const BAR = { gap: 12, width: 10, words: 44 };
const MOST = 230;
/** Cells of nearly one colour are one shape: a matrix of hundreds of places stays quick. */
const SHADES = 48;
const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export function grid(
  panel: GridPanel,
  { width, theme, onTokens, canChoosePairs }: PairRoom,
): SVGElement {
  const n = panel.positions.length;
  const values = unpack(panel.values);
  const finite = Array.from(values).filter(Number.isFinite);
  const [min, max] = finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
  const size = Math.min(MOST, width - LEFT - BAR.gap - BAR.width - BAR.words);
  const cell = size / n;
  const [row, column] = panel.pair ?? [0, Math.min(1, n - 1)];
  const at = (i: number, j: number): number => values[i * n + j] ?? Number.NaN;
  const named = (i: number, j: number): string =>
    `positions ${panel.positions[i]} and ${panel.positions[j]}: ${formatValue(at(i, j))} ${panel.unit}`;
  const pressable = canChoosePairs();
  const title = svg("title", {});
  const area = svg(
    "rect",
    {
      ...{ class: "gh-panel-pairs", x: LEFT, y: TOP, width: size, height: size },
      ...(pressable
        ? {
            role: "button",
            tabindex: 0,
            "data-stop": `pairs ${panel.title}`,
            "aria-label": `${named(row, column)}. Arrow keys choose another pair.`,
          }
        : {}),
    },
    title,
  );
  const choose = (i: number, j: number): void => {
    const [first, second] = [panel.positions[i], panel.positions[j]];
    if (!pressable || i === j || first === undefined || second === undefined) return;
    onTokens([Math.min(first, second), Math.max(first, second)]);
  };
  const cellAt = (event: MouseEvent): [number, number] => {
    const box = area.getBoundingClientRect();
    const index = (share: number): number => Math.min(n - 1, Math.max(0, Math.floor(share * n)));
    return [
      index((event.clientY - box.top) / (box.height || 1)),
      index((event.clientX - box.left) / (box.width || 1)),
    ];
  };
  area.addEventListener("click", (event) => choose(...cellAt(event)));
  area.addEventListener("pointermove", (event) => {
    const [i, j] = cellAt(event);
    title.textContent = i === j ? "" : named(i, j);
  });
  area.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    handled(event);
    let [i, j] = [row + step[0], column + step[1]];
    // Over the diagonal, where there is no pair.
    if (i === j) [i, j] = [i + step[0], j + step[1]];
    choose(i, j);
  });
  const outline = panel.pair && {
    ...{ x: LEFT + column * cell, y: TOP + row * cell, width: cell, height: cell },
  };
  const height = TOP + size + BOTTOM;
  const label = `${panel.title}, ${panel.unit}: from ${formatValue(min)} to ${formatValue(max)}. ${panel.words}`;
  return svg(
    "svg",
    { class: "gh-chart gh-panel-chart", width, height, role: "group", "aria-label": label },
    svg("rect", { class: "gh-panel-frame", x: LEFT, y: TOP, width: size, height: size }),
    ...shades(panel, values, { min, max, cell, theme }),
    ...numbers(panel.positions, cell, size),
    ...bar(panel.unit, { min, max, size, theme }),
    outline ? svg("rect", { class: "gh-panel-pair", ...outline }) : null,
    area,
  );
}

function shades(
  { positions: { length: n } }: GridPanel,
  values: ArrayLike<number>,
  of: { min: number; max: number; cell: number; theme: Theme },
): SVGElement[] {
  const table = sequentialTable("attention", of.theme);
  const shapes = new Map<number, string[]>();
  for (let at = 0; at < n * n; at++) {
    const value = values[at] ?? Number.NaN;
    if (!Number.isFinite(value)) continue;
    const shade = Math.round(((value - of.min) / (of.max - of.min || 1)) * SHADES);
    const [x, y] = [LEFT + (at % n) * of.cell, TOP + Math.floor(at / n) * of.cell];
    const shape = `M${x.toFixed(2)} ${y.toFixed(2)}h${of.cell.toFixed(2)}v${of.cell.toFixed(2)}h${(-of.cell).toFixed(2)}z`;
    shapes.set(shade, [...(shapes.get(shade) ?? []), shape]);
  }
  return [...shapes].map(([shade, d]) =>
    svg("path", { fill: css(tableColour(table, shade / SHADES)), d: d.join("") }),
  );
}

/** Positions along both axes, as many as fit. */
function numbers(positions: readonly number[], cell: number, size: number): SVGElement[] {
  const longest = Math.max(...positions.map((one) => String(one).length), 1);
  const [across, down] = [(6 + 7 * longest) / cell, 14 / cell].map((one) => Math.ceil(one));
  const centre = (i: number): number => (i + 0.5) * cell;
  return [
    ...positions.map((position, i) =>
      i % (across ?? 1)
        ? null
        : svg(
            "text",
            { class: "gh-chart-number", x: LEFT + centre(i), y: TOP + size + 14 },
            position,
          ),
    ),
    ...positions.map((position, i) =>
      i % (down ?? 1)
        ? null
        : svg(
            "text",
            { class: "gh-chart-tick", x: LEFT - 5, y: TOP + centre(i), dy: "0.32em" },
            position,
          ),
    ),
    axisName("position", { x: LEFT + size / 2, y: TOP + size + 29 }),
    axisName("position", { transform: `translate(9 ${TOP + size / 2}) rotate(-90)` }),
  ].filter((one) => one !== null);
}

/** The scale in real units, in steps: gradients are named, and a page has several. */
function bar(
  unit: string,
  { min, max, size, theme }: { min: number; max: number; size: number; theme: Theme },
): SVGElement[] {
  const table = sequentialTable("attention", theme);
  const x = LEFT + size + BAR.gap;
  const height = size / SHADES;
  const steps = Array.from({ length: SHADES }, (_, i) =>
    svg("rect", {
      ...{ x, y: TOP + size - (i + 1) * height, width: BAR.width, height: height + 0.4 },
      fill: css(tableColour(table, (i + 0.5) / SHADES)),
    }),
  );
  const end = (value: number, y: number): SVGElement =>
    svg(
      "text",
      { class: "gh-panel-key", x: x + BAR.width + 4, y, dy: "0.32em" },
      formatValue(value),
    );
  return [
    ...steps,
    end(max, TOP + 5),
    end(min, TOP + size - 5),
    axisName(unit, { transform: `translate(${x + BAR.width + 13} ${TOP + size / 2}) rotate(-90)` }),
  ];
}
