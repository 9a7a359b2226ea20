/** Where panes stand: one below the other, or in two columns that end at the same height. */

export interface Measured<Name extends string> {
  name: Name;
  /** Pixels that its content needs. */
  height: number;
}

export interface Columns<Name extends string> {
  left: readonly Name[];
  right: readonly Name[];
}

/** From this width on two panes fit side by side. */
export const TWO_FROM = 700;

/** Panes dealt out to the two columns. */
export function inTurn<Name extends string>(names: readonly Name[]): Columns<Name> {
  const every = (rest: number): Name[] => names.filter((_, i) => i % 2 === rest);
  return { left: every(0), right: every(1) };
}

/**
 * Divides panes into two columns, their order kept in each, so that their heights differ least;
 * where two ways differ by little, the one that deals them out in turn is taken.
 */
export function columns<Name extends string>(
  panes: readonly Measured<Name>[],
  gap: number,
): Columns<Name> {
  const dealt = inTurn(panes.map(({ name }) => name));
  let [best, least] = [dealt, difference(panes, dealt, gap) - NEAR];
  // The first pane stays on the left.
  for (let bits = 1; bits < 2 ** (panes.length - 1); bits++) {
    const isRight = (i: number): boolean => i > 0 && (bits >> (i - 1)) % 2 === 1;
    const way: Columns<Name> = {
      left: panes.filter((_, i) => !isRight(i)).map(({ name }) => name),
      right: panes.filter((_, i) => isRight(i)).map(({ name }) => name),
    };
    const apart = difference(panes, way, gap);
    if (apart < least) [best, least] = [way, apart];
  }
  return best;
}

const NEAR = 80;

export function heightOf<Name extends string>(
  panes: readonly Measured<Name>[],
  names: readonly Name[],
  gap: number,
): number {
  const heights = panes.filter(({ name }) => names.includes(name)).map(({ height }) => height);
  return heights.reduce((a, b) => a + b, 0) + gap * Math.max(0, heights.length - 1);
}

function difference<Name extends string>(
  panes: readonly Measured<Name>[],
  { left, right }: Columns<Name>,
  gap: number,
): number {
  return Math.abs(heightOf(panes, left, gap) - heightOf(panes, right, gap));
}
