/** Where things go: plot area, layers along x, which layer numbers fit, labels at line ends. */

import type { Named } from "../shared/state";

export interface Layout {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** Pixels between two layers; `left` and `right` are where the grid ends. */
  step: number;
  /** Lines are named at their ends; otherwise in the legend. */
  direct: boolean;
  x(index: number): number;
  y(share: number): number;
}

export interface Room {
  nLayers: number;
  series: readonly Named[];
  /** Of the vertical axis. */
  labels: readonly string[];
  width: number;
  height: number;
  /** Most pixels between two layers. */
  maxStep?: number;
}

const DIRECT_FROM = 520;
/** More lines than that are named in the legend: their ends would be a heap of names. */
const DIRECT_MOST = 9;
const MAX_STEP = 260;
/** Room before the first and after the last layer. */
const MAX_PAD = 28;
const LABEL_HEIGHT = 15;

export function layout({ nLayers, series, labels, width, height, maxStep }: Room): Layout {
  const direct = width >= DIRECT_FROM && series.length > 0 && series.length <= DIRECT_MOST;
  const longest = Math.max(...series.map(({ label }) => label.length), 0);
  const widest = Math.max(...labels.map((label) => label.length), 1);
  const left = 14 + 7 * widest;
  const right = width - (direct ? 20 + 7.2 * longest : 12);
  const [top, bottom] = [10, height - 38];
  const gaps = Math.max(1, nLayers - 1);
  const pad = Math.min(MAX_PAD, (right - left) / (2 * gaps + 2));
  // Two layers are not torn to the far ends of a wide chart.
  const step = Math.min(maxStep ?? MAX_STEP, (right - left - 2 * pad) / gaps);
  const x = (index: number): number => left + pad + index * step;
  const end = x(nLayers - 1) + pad;
  return {
    ...{ width, height, left, right: end, top, bottom, step, direct, x },
    y: (share) => bottom - share * (bottom - top),
  };
}

/** Indices of the layers whose numbers are written: evenly spaced, the current one always. */
export function numbered(nLayers: number, current: number, step: number): Set<number> {
  const every = [1, 2, 3, 4, 5, 8, 10, 16, 20].find((n) => n * step >= 24) ?? 40;
  const result = new Set<number>();
  for (let i = 0; i < nLayers; i += every) {
    const crowds = current >= 0 && i !== current && Math.abs(i - current) * step < 24;
    if (!crowds) result.add(i);
  }
  if (current >= 0) result.add(current);
  return result;
}

/** Moves label centres apart to `LABEL_HEIGHT`, in order, inside [top, bottom]. */
export function spread(centres: readonly number[], top: number, bottom: number): number[] {
  const order = centres.map((_, i) => i).sort((a, b) => (centres[a] ?? 0) - (centres[b] ?? 0));
  const placed = [...centres];
  let least = top;
  for (const i of order) {
    placed[i] = Math.max(placed[i] ?? 0, least);
    least = (placed[i] ?? 0) + LABEL_HEIGHT;
  }
  let most = bottom;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i] ?? 0, most);
    most = (placed[i] ?? 0) - LABEL_HEIGHT;
  }
  return placed;
}
