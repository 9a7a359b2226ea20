/**
 * All data colours, in both themes, made in OKLCH so that equal steps look equal.
 *
 * Head colours: six a theme, as many as can be told apart, with any of the common deficiencies of
 * colour vision too; more heads than that are ink, and are told apart by label and place.
 * Sequential tables start at the background (zero is paper) and have equal steps in OKLab.
 */

export type Theme = "light" | "dark";
export type Rgb = readonly [red: number, green: number, blue: number];
export type Lab = readonly [lightness: number, a: number, b: number];
type Lch = readonly [lightness: number, chroma: number, hue: number];

// ── Colour spaces (Ottosson's OKLab) ────────────────────────────────────────────────────────────

export function toLinear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}

function fromLinear(channel: number): number {
  const c = channel <= 0.0031308 ? 12.92 * channel : 1.055 * channel ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, c)));
}

export function linearToLab([r, g, b]: Lab): Lab {
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

/** Relative luminance as WCAG 2 has it, 0…1. */
export function luminance([r, g, b]: Rgb): number {
  return 0.2126 * toLinear(r) + 0.7152 * toLinear(g) + 0.0722 * toLinear(b);
}

/** Black or white text, whichever has more contrast on `background` (WCAG 2: never below 4.5). */
export function inkOn(background: Rgb): string {
  return luminance(background) > 0.179 ? "#000000" : "#ffffff";
}

// ── Heads ───────────────────────────────────────────────────────────────────────────────────────

// Found by annealing: every pair, and every colour and the ink of further heads, at least ΔE 10
// apart with full vision, protanopia and deuteranopia; 3 : 1 or more on paper and on raised paper.
const HEADS: Record<Theme, readonly Lch[]> = {
  // Blue, red, teal, purple, ochre, pink.
  light: [
    [0.391, 0.26, 264],
    [0.442, 0.204, 29],
    [0.626, 0.239, 172],
    [0.38, 0.185, 318],
    [0.643, 0.189, 64],
    [0.67, 0.26, 333],
  ],
  // Blue, orange, aqua, orchid, yellow, crimson.
  dark: [
    [0.567, 0.113, 272],
    [0.719, 0.246, 49],
    [0.896, 0.164, 190],
    [0.745, 0.228, 320],
    [0.919, 0.198, 102],
    [0.561, 0.235, 358],
  ],
};
/** The ink of heads beyond the coloured ones. */
const NEUTRAL: Record<Theme, Rgb> = { light: [89, 96, 105], dark: [167, 173, 182] };

/** How many heads have a colour at once. */
export const HEAD_COLOURS = 6;

/**
 * The colours of heads that are drawn together, in their order: six at most, none twice; what is
 * beyond is neutral ink. A head has the colour of its number where no head before it has taken it.
 */
export function headColours(heads: readonly number[], theme: Theme): Rgb[] {
  const coloured = heads.slice(0, HEAD_COLOURS);
  const taken = new Map<number, number>();
  for (const head of coloured) {
    if (!taken.has(head % HEAD_COLOURS)) taken.set(head % HEAD_COLOURS, head);
  }
  const place = new Map([...taken].map(([index, head]) => [head, index]));
  for (const head of coloured) {
    let index = head % HEAD_COLOURS;
    if (place.has(head)) continue;
    while (taken.has(index)) index = (index + 1) % HEAD_COLOURS;
    taken.set(index, head);
    place.set(head, index);
  }
  return heads.map((head) => {
    const lch = HEADS[theme][place.get(head) ?? HEAD_COLOURS];
    return lch ? lchToRgb(lch) : NEUTRAL[theme];
  });
}

/** The same, for looking up one head after another. */
export function headColour(heads: readonly number[], theme: Theme): (head: number) => Rgb {
  const colours = headColours(heads, theme);
  return (head) => colours[heads.indexOf(head)] ?? NEUTRAL[theme];
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
  return tableThrough(stops, 256);
}

/** So many RGB entries, flat, at equal steps of OKLab distance along the curve through the stops. */
function tableThrough(stops: readonly Lab[], count: number): Uint8ClampedArray {
  const dense: Lab[] = [];
  const pieces = 64;
  for (let i = 0; i < (stops.length - 1) * pieces; i++) dense.push(spline(stops, i / pieces));
  dense.push(stops[stops.length - 1] as Lab);
  const along = [0];
  for (let i = 1; i < dense.length; i++) {
    along.push((along[i - 1] ?? 0) + distance(dense[i] as Lab, dense[i - 1] as Lab));
  }
  const table = new Uint8ClampedArray(count * 3);
  const length = along[along.length - 1] ?? 1;
  for (let i = 0, at = 0; i < count; i++) {
    const wanted = (length * i) / (count - 1);
    while (at < dense.length - 2 && (along[at + 1] ?? 0) < wanted) at++;
    const start = along[at] ?? 0;
    const t = (wanted - start) / ((along[at + 1] ?? 1) - start);
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

// ── Diverging table ─────────────────────────────────────────────────────────────────────────────

// Blue and orange differ for every kind of colour vision; equal sizes are equally far from paper.
const ARMS: Record<Theme, readonly (readonly Lch[])[]> = {
  light: [
    [
      [0.86, 0.07, 250],
      [0.64, 0.14, 255],
      [0.36, 0.15, 265],
    ],
    [
      [0.88, 0.08, 70],
      [0.68, 0.16, 52],
      [0.4, 0.12, 40],
    ],
  ],
  dark: [
    [
      [0.36, 0.1, 262],
      [0.58, 0.15, 250],
      [0.86, 0.09, 230],
    ],
    [
      [0.36, 0.08, 50],
      [0.6, 0.15, 52],
      [0.88, 0.11, 80],
    ],
  ],
};

/** 256 RGB entries for differences: zero, at 128, is paper; below is blue, above is orange. */
export function divergingTable(theme: Theme, paper: Rgb = PAPER[theme]): Uint8ClampedArray {
  const table = new Uint8ClampedArray(256 * 3);
  for (const [side, arm] of ARMS[theme].entries()) {
    const stops = [paper, ...arm.map(lchToRgb)].map(rgbToLab);
    const steps = tableThrough(stops, 128);
    for (let i = 0; i < 128; i++) {
      table.set(steps.subarray(3 * i, 3 * i + 3), 3 * (side ? 128 + i : 128 - i));
    }
  }
  // There is no step 128 below zero.
  table.copyWithin(0, 3, 6);
  return table;
}
