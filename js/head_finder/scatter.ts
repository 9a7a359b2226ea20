/** Two metrics against each other: a dot for every head, its layer by colour. */

import { scaleLinear } from "d3-scale";
import { svg } from "../shared/dom";
import type { Theme } from "../shared/palette";
import { layerColour } from "./colours";
import { type FinderData, type Head, type Metric, range } from "./data";
import type { Picture } from "./picture";
import { orderStep } from "./tiles";
import { capital } from "./words";

const MARGIN = { left: 52, right: 40, top: 14, bottom: 44 };
const RADIUS = 4;
/** Pixels around a dot that belong to it. */
const NEAR = 14;
const TICKS = 5;
/** Pixels of a letter of an axis' name, about. */
const LETTER = 6.4;
const NAMED = 5;
/** So many crosses can be told from each other. */
const FEW = 48;
const HEIGHT = { most: 440, least: 240 };

export interface Scatter extends Picture {
  readonly element: SVGSVGElement;
  /** Heads that lack one of the two numbers. */
  readonly missing: number;
  /** Draws the intervals of some heads over the dots: of all of them where they are few. */
  intervals(heads: readonly Head[]): void;
}

interface Dot {
  head: Head;
  x: number;
  y: number;
}

export interface ScatterProps {
  data: FinderData;
  x: Metric;
  y: Metric;
  theme: Theme;
  table: Uint8ClampedArray;
  width: number;
  /** Pixels to fill; 0 = as the width asks for. */
  height: number;
  passes(head: Head): boolean;
}

export function scatterPicture(props: ScatterProps): Scatter {
  const { data, width } = props;
  const height = props.height || Math.max(HEIGHT.least, Math.min(HEIGHT.most, 0.7 * width));
  const [toX, toY] = axesOf(props, height);
  const among = data.heads.filter(props.passes);
  const dots = among.flatMap((head): Dot[] => {
    const [x, y] = [props.x.of(head), props.y.of(head)];
    return Number.isFinite(x) && Number.isFinite(y) ? [{ head, x: toX(x), y: toY(y) }] : [];
  });
  const element = svg("svg", { class: "hf-scatter", width, height, "aria-hidden": "true" });
  const toCross = (heads: readonly Head[]): string =>
    heads.map((head) => cross(props, head, toX, toY)).join("");
  const few = dots.length <= FEW ? dots.map(({ head }) => head) : [];
  const ours = svg("path", { class: "hf-interval is-ours" });
  element.append(
    ...axisNodes(props, height, toX, toY),
    svg("path", { class: "hf-interval", d: toCross(few) }),
    ours,
    ...dotNodes(props, dots),
    ...nameNodes(props, dots, height - MARGIN.bottom),
  );
  if (!dots.length) element.append(nothing(props, height));
  const byId = new Map(dots.map((dot) => [dot.head.id, dot]));
  const alongX = [...dots].sort((a, b) => a.x - b.x || b.y - a.y).map(({ head }) => head);
  const alongY = [...dots].sort((a, b) => b.y - a.y || a.x - b.x).map(({ head }) => head);
  const n = dots.length;
  const across: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    Home: -n,
    End: n,
  };
  const upwards: Readonly<Record<string, number>> = {
    ArrowDown: -1,
    ArrowUp: 1,
    PageDown: -10,
    PageUp: 10,
  };
  const stepX = orderStep(alongX, (key) => across[key] ?? null);
  const stepY = orderStep(alongY, (key) => upwards[key] ?? null);
  return {
    ...{ element, width, height, round: true, missing: among.length - n },
    intervals: (heads) => ours.setAttribute("d", toCross(heads.filter(({ id }) => byId.has(id)))),
    boxOf({ id }) {
      const dot = byId.get(id);
      const size = 2 * RADIUS + 2;
      return dot ? { x: dot.x - size / 2, y: dot.y - size / 2, width: size, height: size } : null;
    },
    at: (x, y) => nearest(dots, x, y),
    step: (from, key, ctrl) => stepX(from, key, ctrl) ?? stepY(from, key, ctrl),
    cellOf: ({ index, head }) => [index + 1, head + 1],
    rows: data.layers.length,
    columns: data.most,
    first: alongX[0] ?? null,
  };
}

type Scale = ReturnType<typeof scaleLinear<number, number>>;

function axesOf({ data, x, y, width }: ScatterProps, height: number): [Scale, Scale] {
  const { left, right, top, bottom } = MARGIN;
  const along = (metric: Metric, pixels: [number, number]): Scale => {
    const end = range(data.heads, (head) => metric.by("high", head)).high;
    const from = Math.min(0, range(data.heads, (head) => metric.by("low", head)).low);
    const to = Math.max(end, metric.signed ? metric.high : metric.top);
    return scaleLinear([from, to], pixels).nice(TICKS);
  };
  return [along(x, [left, width - right]), along(y, [height - bottom, top])];
}

function nearest(dots: readonly Dot[], x: number, y: number): Head | null {
  let best: { head: Head | null; far: number } = { head: null, far: NEAR };
  for (const dot of dots) {
    const far = Math.hypot(dot.x - x, dot.y - y);
    if (far < best.far) best = { head: dot.head, far };
  }
  return best.head;
}

function axisNodes({ x, y, width }: ScatterProps, height: number, toX: Scale, toY: Scale): Node[] {
  const { left, right, top, bottom } = MARGIN;
  const [end, floor] = [width - right, height - bottom];
  const down = toX
    .ticks(Math.max(2, Math.min(TICKS, Math.floor((end - left) / 70))))
    .flatMap((value) => {
      const at = Math.round(toX(value)) + 0.5;
      return [
        svg("line", { class: "hf-grid-line", x1: at, x2: at, y1: top, y2: floor }),
        svg(
          "text",
          { class: "hf-tick", x: at, y: floor + 16, "text-anchor": "middle" },
          tick(value),
        ),
      ];
    });
  const across = toY.ticks(TICKS).flatMap((value) => {
    const at = Math.round(toY(value)) + 0.5;
    return [
      svg("line", { class: "hf-grid-line", x1: left, x2: end, y1: at, y2: at }),
      svg(
        "text",
        { class: "hf-tick", x: left - 8, y: at, dy: "0.32em", "text-anchor": "end" },
        tick(value),
      ),
    ];
  });
  const turn = `translate(12 ${(top + floor) / 2}) rotate(-90)`;
  return [
    ...down,
    ...across,
    svg(
      "text",
      { class: "hf-axis", x: (left + end) / 2, y: height - 8, "text-anchor": "middle" },
      axisName(x, end - left),
    ),
    svg(
      "text",
      { class: "hf-axis", transform: turn, "text-anchor": "middle" },
      axisName(y, floor - top),
    ),
  ];
}

function tick(value: number): string {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** "Induction (weight on what followed last time)", or what of it there is room for. */
function axisName({ label, unit }: Metric, room: number): string {
  const whole = unit ? `${capital(label)} (${unit})` : capital(label);
  return whole.length * LETTER <= room + MARGIN.bottom ? whole : capital(label);
}

/** One path for each layer: thousands of dots are a few elements. */
function dotNodes({ data, theme, table }: ScatterProps, dots: readonly Dot[]): Node[] {
  const last = Math.max(1, data.layers.length - 1);
  return data.layers.map((layer, index) => {
    const own = dots.filter(({ head }) => head.index === index);
    const d = own.map(({ x, y }) => circle(x, y, RADIUS)).join("");
    return svg("path", {
      class: "hf-dots",
      d,
      fill: layerColour(table, theme, index / last),
      "data-layer": layer,
    });
  });
}

/** The intervals of both numbers of a head. */
function cross({ x, y }: ScatterProps, head: Head, toX: Scale, toY: Scale): string {
  const [across, up] = [x.interval(head), y.interval(head)];
  if (!across || !up) return "";
  const [atX, atY] = [toX(x.of(head)).toFixed(1), toY(y.of(head)).toFixed(1)];
  const [left, right] = [toX(across.low).toFixed(1), toX(across.high).toFixed(1)];
  const [bottom, top] = [toY(up.low).toFixed(1), toY(up.high).toFixed(1)];
  return `M${left} ${atY}H${right}M${atX} ${bottom}V${top}`;
}

function circle(x: number, y: number, r: number): string {
  const at = `${(x - r).toFixed(1)} ${y.toFixed(1)}`;
  return `M${at}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
}

function nothing({ width, x, y }: ScatterProps, height: number): Node {
  const at = { x: (MARGIN.left + width - MARGIN.right) / 2, y: height / 2 - 20 };
  const words = x.note || y.note ? "No head has both numbers." : "No head is within the limits.";
  return svg("text", { class: "hf-axis", ...at, "text-anchor": "middle" }, words);
}

interface Room {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Names of the heads that stand out, where there is room beside them. */
function nameNodes({ x, y, width }: ScatterProps, dots: readonly Dot[], floor: number): Node[] {
  const by = (metric: Metric): Dot[] =>
    [...dots].sort((a, b) => metric.of(b.head) - metric.of(a.head)).slice(0, NAMED);
  const taken = dots.map((dot) => around(dot.x, dot.y, RADIUS, RADIUS));
  return [...new Set([...by(x), ...by(y)])].flatMap((dot) => {
    const name = `${dot.head.layer}·${dot.head.head}`;
    const half = 3.4 * name.length;
    const aside = RADIUS + 4 + half;
    const rooms = [
      [aside, 0],
      [-aside, 0],
      [0, -14],
      [0, 14],
    ].map(([dx = 0, dy = 0]) => around(dot.x + dx, dot.y + dy, half, 6));
    const fits = (room: Room): boolean =>
      room.left > MARGIN.left - 8 && room.right < width && room.bottom < floor;
    const free = rooms.find((room) => fits(room) && !taken.some((one) => overlap(one, room)));
    if (!free) return [];
    taken.push(free);
    const at = { x: (free.left + free.right) / 2, y: (free.top + free.bottom) / 2 };
    const attrs = { class: "hf-dot-name", ...at, dy: "0.32em", "text-anchor": "middle" };
    return [svg("text", attrs, name)];
  });
}

function around(x: number, y: number, dx: number, dy: number): Room {
  return { left: x - dx, right: x + dx, top: y - dy, bottom: y + dy };
}

function overlap(a: Room, b: Room): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** What is left out, in words. */
export function missingWords({ missing }: Scatter, x: Metric, y: Metric): string {
  if (!missing) return "";
  const note = x.note || y.note;
  return note || `${missing} heads lack one of the two numbers and are left out.`;
}
