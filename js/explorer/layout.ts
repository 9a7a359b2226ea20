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

export type Column = keyof Columns<string>;

/** From this width on two panes fit side by side. */
export const TWO_FROM = 700;

/** Columns that differ by so many pixels more are better than a pane that changes its column. */
const MOVED = 320;
/** Where nothing stands anywhere yet, panes dealt out in turn may differ by so much more. */
const NEAR = 80;

/**
 * Divides panes into two columns, their order kept in each, so that their heights differ least and
 * few leave the column in which they were; of panes that were nowhere the first is on the left.
 */
export function columns<Name extends string>(
  panes: readonly Measured<Name>[],
  gap: number,
  were: ReadonlyMap<Name, Column> = new Map(),
): Columns<Name> {
  const isKnown = panes.some(({ name }) => were.has(name));
  let best: Columns<Name> = { left: panes.map(({ name }) => name), right: [] };
  let least = Number.POSITIVE_INFINITY;
  for (let bits = 0; bits < 2 ** panes.length; bits++) {
    const column = (i: number): Column => ((bits >> i) % 2 === 1 ? "right" : "left");
    if (!isKnown && column(0) === "right") continue;
    const of = (side: Column): Name[] =>
      panes.filter((_, i) => column(i) === side).map(({ name }) => name);
    const way = { left: of("left"), right: of("right") };
    const moved = panes.filter(({ name }, i) => (were.get(name) ?? column(i)) !== column(i));
    const inTurn = panes.every((_, i) => column(i) === (i % 2 ? "right" : "left"));
    const cost =
      difference(panes, way, gap) + MOVED * moved.length + (isKnown || inTurn ? 0 : NEAR);
    if (cost < least) [best, least] = [way, cost];
  }
  return best;
}

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
