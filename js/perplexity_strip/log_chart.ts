/** A small chart in SVG with a logarithmic vertical axis, as both readings of a token need. */

import { svg } from "../shared/dom";
import { formatCount } from "../shared/numbers";

export interface Axis {
  /** Where a value stands, in pixels. */
  at(value: number): number;
  ticks: readonly { value: number; label: string }[];
}

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export const HEIGHT = 190;

/** The room for lines in a chart of a width. */
export function boxOf(width: number, right = 12): Box {
  return { left: 46, right: width - right, top: 10, bottom: HEIGHT - 34 };
}

/** "1", "0.1", "10⁻⁴": powers of ten as axes have them. */
export function powerLabel(exponent: number): string {
  if (exponent >= 0 && exponent < 6) return formatCount(10 ** exponent);
  if (exponent > -3 && exponent < 0) return String(10 ** exponent);
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = String(Math.abs(exponent)).replace(/\d/g, (digit) => digits[Number(digit)] ?? "");
  return `10${exponent < 0 ? "⁻" : ""}${raised}`;
}

/** Powers of ten between two values, at most `most` of them, on a line from `from` to `to`. */
export function logAxis(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  most: number,
): Axis {
  const first = Math.log10(low);
  const last = Math.max(first + 1e-6, Math.log10(high));
  const at = (value: number): number =>
    from + ((Math.log10(Math.max(value, low)) - first) / (last - first)) * (to - from);
  const powers: number[] = [];
  for (let power = Math.ceil(first - 1e-9); power <= last + 1e-9; power++) powers.push(power);
  const step = Math.ceil(powers.length / most);
  // Counted from the end that is a round number in both charts: 1.
  const ticks = powers
    .filter((power) => power % step === 0)
    .map((power) => ({ value: 10 ** power, label: powerLabel(power) }));
  return { at, ticks };
}

/** The two axes, their numbers and their names. */
export function axes(box: Box, x: Axis, y: Axis, names: { x: string; y: string }): SVGElement[] {
  const middle = `translate(10 ${(box.top + box.bottom) / 2}) rotate(-90)`;
  const centre = { "text-anchor": "middle" };
  return [
    ...y.ticks.flatMap(({ value, label }) => {
      const at = Math.round(y.at(value)) + 0.5;
      return [
        svg("line", { class: "gh-strip-grid", x1: box.left, x2: box.right, y1: at, y2: at }),
        svg(
          "text",
          { class: "gh-strip-tick", x: box.left - 5, y: at, dy: "0.32em", "text-anchor": "end" },
          label,
        ),
      ];
    }),
    ...x.ticks.map(({ value, label }) =>
      svg("text", { class: "gh-strip-tick", x: x.at(value), y: box.bottom + 14, ...centre }, label),
    ),
    svg(
      "text",
      { class: "gh-strip-tick", x: (box.left + box.right) / 2, y: HEIGHT - 5, ...centre },
      names.x,
    ),
    svg("text", { class: "gh-strip-tick", transform: middle, ...centre }, names.y),
  ];
}

/** The chart itself; `label` says what is to be seen in it. */
export function chart(width: number, label: string, ...children: SVGElement[]): SVGElement {
  const size = { width, height: HEIGHT, role: "img", "aria-label": label };
  return svg("svg", { class: "gh-strip-chart", ...size }, ...children);
}

/** "M 1 2 L 3 4 …" through points; a gap where one is not known. */
export function pathThrough(points: readonly (readonly [number, number])[]): string {
  let open = false;
  return points
    .map(([x, y]) => {
      if (Number.isNaN(y)) {
        open = false;
        return "";
      }
      const part = `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      open = true;
      return part;
    })
    .join("");
}
