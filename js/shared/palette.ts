/**
 * All data colours, in both themes, made in OKLCH so that equal steps look equal.
 *
 * Head colours: the first eight are chosen by hand for colour-blind readers (they differ in
 * lightness as well as in hue); every further one is the candidate farthest from all before it,
 * measured for full colour vision and for the two common deficiencies. None repeats.
 * Sequential tables start at the background (zero is paper) and have equal steps in OKLab.
 */

export type Theme = "light" | "dark";
export type Rgb = readonly [red: number, green: number, blue: number];
type Lab = readonly [lightness: number, a: number, b: number];
type Lch = readonly [lightness: number, chroma: number, hue: number];

export const MAX_HEADS = 64;

// ── Colour spaces (Ottosson's OKLab) ────────────────────────────────────────────────────────────

function toLinear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}

function fromLinear(channel: number): number {
  const c = channel <= 0.0031308 ? 12.92 * channel : 1.055 * channel ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, c)));
}

function linearToLab([r, g, b]: Lab): Lab {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function labToLinear([L, a, b]: Lab): Lab {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

export function rgbToLab([r, g, b]: Rgb): Lab {
  return linearToLab([toLinear(r), toLinear(g), toLinear(b)]);
}

function inGamut(linear: Lab): boolean {
  return linear.every((channel) => channel >= -0.0005 && channel <= 1.0005);
}

/** OKLCH → sRGB; chroma gives way until the colour can be shown, lightness and hue stay. */
export function lchToRgb([lightness, chroma, hue]: Lch): Rgb {
  const angle = (hue * Math.PI) / 180;
  for (let c = chroma; ; c -= 0.004) {
    const kept = Math.max(0, c);
    const linear = labToLinear([lightness, kept * Math.cos(angle), kept * Math.sin(angle)]);
    if (kept === 0 || inGamut(linear)) {
      return [fromLinear(linear[0]), fromLinear(linear[1]), fromLinear(linear[2])];
    }
  }
}

function labToRgb(lab: Lab): Rgb {
  const [r, g, b] = labToLinear(lab);
  return [fromLinear(r), fromLinear(g), fromLinear(b)];
}

/** Euclidean distance in OKLab × 100: about 2 is just noticeable side by side. */
export function deltaE(first: Rgb, second: Rgb): number {
  return 100 * distance(rgbToLab(first), rgbToLab(second));
}

function distance(p: Lab, q: Lab): number {
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return alpha === 1 ? `rgb(${r} ${g} ${b})` : `rgb(${r} ${g} ${b} / ${alpha})`;
}

/** Black or white text, whichever has more contrast on `background` (WCAG 2: never below 4.5). */
export function inkOn([r, g, b]: Rgb): string {
  const luminance = 0.2126 * toLinear(r) + 0.7152 * toLinear(g) + 0.0722 * toLinear(b);
  return luminance > 0.179 ? "#000000" : "#ffffff";
}

// ── Heads ───────────────────────────────────────────────────────────────────────────────────────

// Blue, vermilion, teal, purple, amber, sky, magenta, olive: hue and lightness both change.
const FIRST_HEADS: Record<Theme, readonly Lch[]> = {
  light: [
    [0.5, 0.17, 262],
    [0.63, 0.2, 40],
    [0.56, 0.115, 172],
    [0.42, 0.17, 310],
    [0.74, 0.155, 78],
    [0.7, 0.125, 230],
    [0.6, 0.22, 355],
    [0.45, 0.1, 115],
  ],
  dark: [
    [0.67, 0.16, 262],
    [0.73, 0.17, 42],
    [0.76, 0.13, 172],
    [0.62, 0.19, 312],
    [0.86, 0.15, 88],
    [0.83, 0.1, 225],
    [0.71, 0.2, 355],
    [0.66, 0.13, 122],
  ],
};
const LIGHTNESS: Record<Theme, readonly number[]> = {
  light: [0.36, 0.44, 0.52, 0.6, 0.68, 0.76],
  dark: [0.61, 0.67, 0.73, 0.79, 0.85, 0.91],
};
const CHROMA = [0.07, 0.12, 0.18, 0.24];

// Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
const DEFICIENCIES: readonly (readonly Lab[])[] = [
  [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
];

/** A colour as seen with full vision, protanopia and deuteranopia. */
function seen(rgb: Rgb): Lab[] {
  const linear: Lab = [toLinear(rgb[0]), toLinear(rgb[1]), toLinear(rgb[2])];
  const dot = (row: Lab): number =>
    Math.max(0, row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2]);
  const deficient = DEFICIENCIES.map((rows) => {
    const [r, g, b] = rows.map(dot);
    return linearToLab([r ?? 0, g ?? 0, b ?? 0]);
  });
  return [linearToLab(linear), ...deficient];
}

/** How far apart two colours are for everyone: colour-blind distance counts for a third. */
function separation(p: readonly Lab[], q: readonly Lab[]): number {
  const [full = 0, ...deficient] = p.map((lab, i) => distance(lab, q[i] ?? lab));
  return full + 0.33 * Math.min(...deficient);
}

function candidates(theme: Theme): Rgb[] {
  const result: Rgb[] = [];
  for (const lightness of LIGHTNESS[theme]) {
    for (const chroma of CHROMA) {
      for (let hue = 0; hue < 360; hue += 12) result.push(lchToRgb([lightness, chroma, hue]));
    }
  }
  return result;
}

/** The head palette of a theme: `count` colours, none repeated. */
export function headPalette(theme: Theme, count: number = MAX_HEADS): Rgb[] {
  const chosen = FIRST_HEADS[theme].map(lchToRgb);
  if (count <= chosen.length) return chosen.slice(0, count);
  const pool = candidates(theme).map((rgb) => ({ rgb, seen: seen(rgb), nearest: Infinity }));
  const keepAway = (rgb: Rgb): void => {
    const added = seen(rgb);
    for (const candidate of pool) {
      candidate.nearest = Math.min(candidate.nearest, separation(candidate.seen, added));
    }
  };
  for (const rgb of chosen) keepAway(rgb);
  while (chosen.length < count) {
    const best = pool.reduce((a, b) => (b.nearest > a.nearest ? b : a));
    chosen.push(best.rgb);
    keepAway(best.rgb);
  }
  return chosen;
}

const palettes = new Map<string, Rgb[]>();

/** The colour of one head. A head keeps its colour whatever else is shown. */
export function headColour(head: number, nHeads: number, theme: Theme): Rgb {
  const count = Math.max(MAX_HEADS, nHeads);
  const name = `${theme}:${count}`;
  let palette = palettes.get(name);
  if (!palette) {
    palette = headPalette(theme, count);
    palettes.set(name, palette);
  }
  return palette[head] ?? [128, 128, 128];
}

// ── Sequential tables ───────────────────────────────────────────────────────────────────────────

export type Sequential = "attention" | "surprisal";

// From just off the paper to the strongest value; the paper itself is put in front.
const STOPS: Record<Sequential, Record<Theme, readonly Lch[]>> = {
  attention: {
    light: [
      [0.93, 0.045, 195],
      [0.8, 0.1, 205],
      [0.62, 0.13, 235],
      [0.44, 0.16, 268],
      [0.26, 0.12, 285],
    ],
    dark: [
      [0.32, 0.09, 280],
      [0.45, 0.14, 266],
      [0.6, 0.13, 235],
      [0.78, 0.11, 195],
      [0.96, 0.06, 130],
    ],
  },
  surprisal: {
    light: [
      [0.95, 0.045, 92],
      [0.86, 0.11, 78],
      [0.72, 0.16, 52],
      [0.55, 0.19, 30],
      [0.36, 0.14, 18],
    ],
    dark: [
      [0.3, 0.06, 18],
      [0.42, 0.13, 25],
      [0.58, 0.18, 38],
      [0.75, 0.16, 62],
      [0.93, 0.1, 95],
    ],
  },
};
const PAPER: Record<Theme, Rgb> = { light: [255, 255, 255], dark: [17, 17, 17] };

/**
 * 256 RGB entries, flat (index 3·i), from the paper to the strongest value, at equal steps of
 * OKLab distance along the curve through the stops.
 */
export function sequentialTable(
  name: Sequential,
  theme: Theme,
  paper: Rgb = PAPER[theme],
): Uint8ClampedArray {
  const stops: Lab[] = [rgbToLab(paper)];
  for (const stop of STOPS[name][theme]) stops.push(rgbToLab(lchToRgb(stop)));
  const dense: Lab[] = [];
  const pieces = 64;
  for (let i = 0; i < (stops.length - 1) * pieces; i++) dense.push(spline(stops, i / pieces));
  dense.push(stops[stops.length - 1] as Lab);
  const along = [0];
  for (let i = 1; i < dense.length; i++) {
    along.push((along[i - 1] ?? 0) + distance(dense[i] as Lab, dense[i - 1] as Lab));
  }
  const table = new Uint8ClampedArray(256 * 3);
  const length = along[along.length - 1] ?? 1;
  for (let i = 0, at = 0; i < 256; i++) {
    while (at < dense.length - 2 && (along[at + 1] ?? 0) < (length * i) / 255) at++;
    const start = along[at] ?? 0;
    const t = ((length * i) / 255 - start) / ((along[at + 1] ?? 1) - start);
    table.set(labToRgb(mix(dense[at] as Lab, dense[at + 1] as Lab, t)), 3 * i);
  }
  return table;
}

function mix(p: Lab, q: Lab, t: number): Lab {
  return [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t, p[2] + (q[2] - p[2]) * t];
}

/** Catmull-Rom through the stops, so that the table has no kink at a stop. */
function spline(stops: readonly Lab[], position: number): Lab {
  const i = Math.floor(position);
  const t = position - i;
  const at = (n: number): Lab => stops[Math.min(stops.length - 1, Math.max(0, n))] as Lab;
  const channel = (c: 0 | 1 | 2): number => {
    const [p0, p1, p2, p3] = [at(i - 1)[c], at(i)[c], at(i + 1)[c], at(i + 2)[c]];
    const bend = 2 * p0 - 5 * p1 + 4 * p2 - p3;
    const rest = 3 * (p1 - p2) + p3 - p0;
    return p1 + 0.5 * t * (p2 - p0 + t * (bend + t * rest));
  };
  return [channel(0), channel(1), channel(2)];
}

/** A colour of a sequential table; `share` in 0…1. */
export function tableColour(table: Uint8ClampedArray, share: number): Rgb {
  const i = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
  return [table[i] ?? 0, table[i + 1] ?? 0, table[i + 2] ?? 0];
}

/** The table as a CSS gradient for legends. */
export function gradientCss(table: Uint8ClampedArray, direction = "to right"): string {
  const stops: string[] = [];
  for (let i = 0; i <= 16; i++) stops.push(css(tableColour(table, i / 16)));
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}
