/** Bars of sizes that may be a thousand times apart: in proportion, or by powers of ten. */

export interface BarScale {
  readonly isLog: boolean;
  /** The size at the end of the longest bar, and of a log scale the one at its start. */
  readonly top: number;
  readonly bottom: number;
  /** Share of the room that a bar takes. */
  share(value: number): number;
}

/** Longest over typical, from which on bars are by powers of ten. */
const SPREAD = 8;

export function barScale(values: ArrayLike<number>): BarScale {
  const sizes = Array.from(values).filter((value) => value > 0 && Number.isFinite(value));
  sizes.sort((a, b) => a - b);
  const top = sizes.at(-1) ?? 0;
  const typical = sizes[Math.floor(sizes.length / 2)] ?? 0;
  const isLog = top > SPREAD * typical;
  const bottom = isLog ? typical / 10 : 0;
  const share = (value: number): number => {
    if (!(value > 0) || !(top > 0)) return 0;
    const of = isLog ? Math.log(value / bottom) / Math.log(top / bottom) : value / top;
    return Math.max(0, Math.min(1, of));
  };
  return { isLog, top, bottom, share };
}
