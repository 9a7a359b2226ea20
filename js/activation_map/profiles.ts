/** The pinned dimensions along the text: bars above and below zero, one for each token. */

import { button, fill, h, hide, say, svg } from "../shared/dom";
import { unitName } from "../shared/map/axis";
import type { Grid } from "../shared/map/grid";
import { thinned } from "../shared/map/labels";
import type { LitUnits } from "../shared/map/pin";
import type { Paint } from "../shared/map/signed";
import { css, tableColour } from "../shared/palette";
import { showPlain } from "../shared/token_text";
import type { ActivationPlot } from "./geometry";
import { formatActivation, shortly } from "./numbers";
import type { ActivationPicture } from "./picture";
import { type BarScale, barScale } from "./scale";
import { columnWords } from "./words";

export interface ProfileActions {
  /** The values of a dimension; null where they are not there. */
  column(column: number): Grid | null;
  hover(token: number | null): void;
  select(token: number): void;
  unpin(dimension: number): void;
}

export interface Profiles {
  readonly element: HTMLElement;
  draw(picture: ActivationPicture, dimensions: readonly number[], on: Place): void;
  /** Another token is lit. */
  light(picture: ActivationPicture, tokens: LitUnits): void;
}

/** What the bars have in common with the map. */
export interface Place {
  readonly plot: ActivationPlot;
  readonly paint: Paint;
  /** Said where there are no values, and none will come. */
  readonly why: string;
}

const HEIGHT = 64;
const LABELS = 18;
/** Pixels between names of tokens, and of a letter. */
const NAME = 52;
const LETTER = 6.4;

interface Drawn {
  readonly dimension: number;
  readonly element: HTMLElement;
  readonly value: HTMLElement;
  readonly marker: SVGElement;
  grid: Grid | null;
}

export function createProfiles(actions: ProfileActions, signal: AbortSignal): Profiles {
  const element = h("div", { class: "am-profiles" });
  let drawn: Drawn[] = [];
  let shown: unknown[] = [];
  let place: Place | null = null;
  const tokenAt = (event: MouseEvent): number | null => {
    const chart = event.target instanceof Element ? event.target.closest("svg") : null;
    const grid = drawn.find(({ element }) => chart && element.contains(chart))?.grid;
    if (!chart || !place || !grid) return null;
    const share = (event.clientX - chart.getBoundingClientRect().left - place.plot.left) / width();
    return share < 0 || share >= 1 ? null : Math.floor(share * grid.row1);
  };
  const width = (): number => place?.plot.width ?? 1;
  element.addEventListener("pointermove", (event) => actions.hover(tokenAt(event)), { signal });
  element.addEventListener("pointerleave", () => actions.hover(null), { signal });
  const click = (event: MouseEvent): void => {
    const token = tokenAt(event);
    if (token !== null) actions.select(token);
  };
  element.addEventListener("click", click, { signal });
  return {
    element,
    draw(picture, dimensions, on) {
      const { map } = picture;
      const grids = dimensions.map((one) => actions.column(map.columnOf[one] ?? 0));
      const { left, width } = on.plot;
      const now = [map, left, width, on.paint.table, on.why, ...dimensions, ...grids];
      if (now.length === shown.length && now.every((one, i) => one === shown[i])) return;
      [shown, place] = [now, on];
      drawn = dimensions.map((dimension, i) =>
        profile(picture, dimension, grids[i] ?? null, on, actions),
      );
      fill(element, ...drawn.map((one) => one.element));
      hide(element, drawn.length === 0);
    },
    light({ tokens }, { hovered, selected }) {
      const token = hovered ?? [...selected].at(-1) ?? null;
      for (const { grid, value, marker } of drawn) {
        marker.toggleAttribute("hidden", token === null || !grid);
        if (token === null || !grid) {
          say(value, "");
          continue;
        }
        const number = grid.values[Math.floor(token / grid.perRow)] ?? Number.NaN;
        const most = grid.perRow > 1 ? ` (largest of ${grid.perRow} tokens)` : "";
        say(value, `${unitName(tokens.axis, token)}: ${formatActivation(number)}${most}`);
        const size = width() / grid.row1;
        marker.setAttribute("x", String((place?.plot.left ?? 0) + token * size - 0.5));
        marker.setAttribute("width", String(Math.max(2, size) + 1));
      }
    },
  };
}

function profile(
  picture: ActivationPicture,
  dimension: number,
  grid: Grid | null,
  on: Place,
  { unpin }: ProfileActions,
): Drawn {
  const value = h("span", { class: "am-profile-value" });
  const marker = svg("rect", { class: "am-marker", y: 0, height: HEIGHT, hidden: true });
  const words = columnWords(picture.map, dimension);
  const close = button(
    "gh-button gh-round am-unpin",
    () => unpin(dimension),
    { aria: { label: `Let go of dimension ${dimension}` }, data: { action: "unpin" } },
    "×",
  );
  const scale = grid && barScale(Array.from(grid.values, Math.abs));
  const heading = h(
    "div",
    { class: "am-profile-head" },
    h("b", {}, words),
    scale?.isLog ? h("span", { class: "gh-caption" }, "bars by powers of ten") : null,
    value,
    close,
  );
  const chart = grid && scale ? bars(picture, grid, scale, on, marker, words) : null;
  const element = h(
    "section",
    { class: "am-profile", data: { dimension }, aria: { label: words } },
    heading,
    chart ?? h("p", { class: "gh-caption" }, on.why),
  );
  return { dimension, element, value, marker, grid };
}

function bars(
  { tokens }: ActivationPicture,
  grid: Grid,
  scale: BarScale,
  { plot, paint }: Place,
  marker: SVGElement,
  words: string,
): SVGElement {
  const { left, width } = plot;
  const size = (width / grid.row1) * grid.perRow;
  const zero = HEIGHT / 2;
  const gap = size > 4 ? 0.5 : 0;
  const path = (sign: 1 | -1): string =>
    Array.from(grid.values, (value, i) => {
      const long = scale.share(Math.abs(value)) * (zero - 2);
      if (Math.sign(value) !== sign || long < 0.05) return "";
      const [from, to] = [left + i * size + gap, left + Math.min(width, (i + 1) * size) - gap];
      const end = zero - sign * Math.max(0.75, long);
      return `M${from.toFixed(2)} ${zero}V${end.toFixed(2)}H${to.toFixed(2)}V${zero}Z`;
    }).join("");
  // The colours of the map, as strong as they are on paper.
  const colour = (share: number): string => css(tableColour(paint.table, share));
  const number = (value: string, y: number): SVGElement =>
    svg("text", { x: left - 6, y, "text-anchor": "end" }, value);
  return svg(
    "svg",
    {
      ...{ width: left + width + plot.right, height: HEIGHT + LABELS, class: "am-bars" },
      ...{ role: "img", "aria-label": `${words}, along the text` },
    },
    marker,
    svg("path", { d: path(1), fill: colour(0.85) }),
    svg("path", { d: path(-1), fill: colour(0.15) }),
    svg("rect", { class: "am-zero", x: left, y: zero - 0.5, width, height: 1 }),
    number(`+${shortly(scale.top)}`, 10),
    number(`−${shortly(scale.top)}`, HEIGHT - 2),
    ...names(tokens.axis.labels, left, width),
  );
}

/** Names of tokens under their bars, as many as there is room for. */
function names(labels: readonly string[], left: number, width: number): SVGElement[] {
  const size = width / labels.length;
  const step = Math.max(1, Math.ceil(NAME / size));
  const letters = (unit: number): number => labels[unit]?.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
  const most = Math.floor((step * size) / LETTER);
  const shortened = (text: string): string =>
    text.length > most ? `${[...text].slice(0, Math.max(1, most - 1)).join("")}…` : text;
  return thinned(labels.length, step, letters).flatMap((unit) => {
    const x = left + (unit + 0.5) * size;
    if (x + NAME / 2 > left + width + 40) return [];
    const text = shortened(showPlain((labels[unit] ?? "").trim() || (labels[unit] ?? "")));
    return [svg("text", { class: "am-name", x, y: HEIGHT + 13, "text-anchor": "middle" }, text)];
  });
}
