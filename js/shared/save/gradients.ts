/** Gradients of style sheets as gradients of SVG: colour scales and hatchings. */

import { svg } from "../dom";
import { type Box, inked, short } from "./marks";

interface Stop {
  colour: string;
  /** Pixels along the gradient's line, null = evenly between its neighbours. */
  at: number | null;
}

/** A computed `background-image`, if it is one that can be drawn: `(repeating-)linear-gradient`. */
export function gradientOf(image: string, box: Box, id: string): SVGLinearGradientElement | null {
  const found = /^(repeating-)?linear-gradient\((.*)\)$/.exec(image);
  if (!found) return null;
  const parts = split(found[2] ?? "");
  const angle = angleOf(parts[0] ?? "");
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const [dx, dy] = [Math.sin(angle ?? Math.PI), -Math.cos(angle ?? Math.PI)];
  const length = Math.abs(width * dx) + Math.abs(height * dy);
  const stops = placed(
    parts.slice(angle === null ? 0 : 1).flatMap((part) => stopsOf(part, length)),
    length,
  );
  const end = found[1] ? (stops.at(-1)?.at ?? length) : length;
  const start = {
    x: (box.left + box.right - length * dx) / 2,
    y: (box.top + box.bottom - length * dy) / 2,
  };
  return svg(
    "linearGradient",
    {
      id,
      gradientUnits: "userSpaceOnUse",
      x1: short(start.x),
      y1: short(start.y),
      x2: short(start.x + end * dx),
      y2: short(start.y + end * dy),
      spreadMethod: found[1] ? "repeat" : "pad",
    },
    ...stops.map(({ colour, at }) =>
      svg("stop", { offset: short((at ?? 0) / (end || 1)), ...inked("stop-color", colour) }),
    ),
  );
}

/** At commas that are in no brackets. */
function split(list: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const character of list) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === "," && depth === 0) {
      parts.push(part.trim());
      part = "";
    } else part += character;
  }
  return [...parts, part.trim()];
}

const SIDES: Record<string, number> = { top: 0, right: 90, bottom: 180, left: 270 };

/** Radians, clockwise from upwards; null where the first part is a colour already. */
function angleOf(part: string): number | null {
  const side = /^to (\w+)$/.exec(part)?.[1];
  const degrees = side ? SIDES[side] : /^(-?[\d.]+)deg$/.exec(part)?.[1];
  return degrees === undefined ? null : (Number(degrees) * Math.PI) / 180;
}

/** A colour with no, one or two places. */
function stopsOf(part: string, length: number): Stop[] {
  const found = /^(.*?)((?:\s+-?[\d.]+(?:px|%))*)$/.exec(part);
  const colour = (found?.[1] ?? part).trim();
  const places = (found?.[2] ?? "").trim().split(/\s+/).filter(Boolean);
  if (!places.length) return [{ colour, at: null }];
  return places.map((place) => {
    const value = Number.parseFloat(place);
    return { colour, at: place.endsWith("%") ? (value / 100) * length : value };
  });
}

function placed(stops: Stop[], length: number): Stop[] {
  const [first] = stops;
  const last = stops.at(-1);
  if (first) first.at ??= 0;
  if (last) last.at ??= length;
  for (const [i, stop] of stops.entries()) {
    if (stop.at !== null) continue;
    const next = stops.findIndex((other, j) => j > i && other.at !== null);
    const before = stops[i - 1]?.at ?? 0;
    stop.at = before + ((stops[next]?.at ?? length) - before) / (next - i + 1);
  }
  return stops;
}
