/** Exact weights of the lit tokens: asked from the kernel, drawn from the frame until they come. */

import { type NdArray, type NumberArray, unpack } from "../shared/arrays";
import type { Answer, Host } from "../shared/host/host";
import { blockOf, createQuestion, isAbout } from "../shared/host/question";
import type { Side } from "../shared/map/axis";
import type { At } from "../shared/map/pin";
import { type Fan, fanFromFrame, fanValues, strongestLine } from "./fan";
import type { Lines } from "./lines";
import type { LinesPicture } from "./picture";
import type { LinesFrame, LinesState } from "./state";

/** Answers that are kept, each of some neighbours: at most about 4 MB. */
const MOST = 32;

interface Asked extends Record<string, string | number> {
  /** Of the first unit. */
  position: number;
  side: Side;
}

export interface Fans {
  /** The fans to draw; the last one is the one to talk about. */
  readonly current: readonly Fan[];
  want(units: readonly At[], picture: LinesPicture): void;
}

export function createFans(
  host: Host<LinesState>,
  signal: AbortSignal,
  onArrival: () => void,
): Fans {
  let current: Fan[] = [];
  let wanted: readonly At[] = [];
  let picture: LinesPicture | null = null;
  /** What the answers are about. */
  let about: Lines | null = null;
  /** Fans that came with the frame. */
  let brought: readonly Fan[] = [];

  const exact = createQuestion(host, signal, {
    name: "fan",
    read: (answer, args: Asked) => about && readFans(answer, args, about),
    onReply() {
      refresh();
      onArrival();
    },
    most: MOST,
  });
  const broughtOf = ({ side, unit }: At): Fan | undefined =>
    brought.find((fan) => fan.side === side && fan.unit === unit);
  const refresh = (): void => {
    const lines = picture?.content;
    if (!picture || !lines) {
      current = [];
      return;
    }
    const { query, key } = picture;
    const { together } = lines.frame;
    const place = ({ side, unit }: At): { args: Asked; within: number } => {
      const { first, within } = blockOf(unit, together[side]);
      return { args: { position: first, side }, within };
    };
    current = wanted.map((at) => {
      const { args, within } = place(at);
      const other = at.side === "query" ? key.length : query.length;
      return broughtOf(at) ?? exact.value(args)?.(within) ?? fanFromFrame(lines, at, other);
    });
    // One at a time, the one to talk about first.
    const due = wanted.filter((at) => !broughtOf(at)).slice(-MOST);
    const next = due
      .reverse()
      .map((at) => place(at).args)
      .find((args) => !exact.reply(args));
    if (next) exact.ask(next);
  };

  return {
    get current() {
      return current;
    },
    want(units, of) {
      if (about !== of.content) {
        exact.forget();
        brought = of.content ? fansOf(of.content.frame) : [];
      }
      [about, wanted, picture] = [of.content, units, of];
      refresh();
    },
  };
}

/** The fans of some neighbours, each made once. */
function readFans(
  { result, arrays }: Answer,
  { side, position }: Asked,
  { frame }: Lines,
): ((within: number) => Fan | undefined) | null {
  const { weights, drawn, heads } = arrays;
  if (!isAbout(result.key, frame.key) || !weights || !drawn || !heads) return null;
  return exactFans({ side, position }, { weights, drawn, heads });
}

/** The fans that a frame brings: those of what was lit when it was drawn need not be asked for. */
function fansOf({ fans = [] }: LinesFrame): Fan[] {
  return fans.flatMap(({ side, position, weights, drawn, heads }) => {
    const array = (of: typeof weights): NdArray => ({ values: unpack(of), shape: of.shape });
    const arrays = { weights: array(weights), drawn: array(drawn), heads: array(heads) };
    return exactFans({ side, position }, arrays)(0) ?? [];
  });
}

/** By their places among those that came together. */
function exactFans(
  { side, position }: Asked,
  { weights, drawn, heads }: Record<"weights" | "drawn" | "heads", NdArray>,
): (within: number) => Fan | undefined {
  const [units = 0, , n = 0] = weights.shape;
  const all = { weights: withoutGaps(weights.values), drawn: withoutGaps(drawn.values) };
  const part = (of: Float32Array, within: number): Float32Array =>
    of.subarray((within * of.length) / units, ((within + 1) * of.length) / units);
  const made = new Map<number, Fan>();
  return (within) => {
    if (within >= units) return undefined;
    const fan = made.get(within) ?? {
      ...{ side, unit: position + within, heads: heads.values, n, exact: true },
      weights: part(all.weights, within),
      drawn: part(all.drawn, within),
    };
    made.set(within, fan);
    return fan;
  };
}

/** A row that is undefined looks nowhere, and says so itself. */
function withoutGaps(values: NumberArray): Float32Array {
  const filled = new Float32Array(values);
  for (let i = 0; i < filled.length; i++) if (Number.isNaN(filled[i])) filled[i] = 0;
  return filled;
}

// Units of the other side with less than this share of the largest weight step back.
const QUIET = 0.04;

/** Which units of a side the fans hardly touch; null when no fan reaches that side. */
export function quietUnits(
  fans: readonly Fan[],
  lines: Lines,
  side: Side,
): ((unit: number) => boolean) | null {
  const reaching = fans.filter((fan) => fan.side !== side);
  if (!reaching.length) return null;
  const most = new Float32Array(reaching[0]?.n ?? 0);
  for (const fan of reaching) {
    const full = strongestLine(fan);
    for (const [unit, weight] of fanValues(fan, lines).entries()) {
      most[unit] = Math.max(most[unit] ?? 0, weight / full);
    }
  }
  return (unit) => (most[unit] ?? 0) < QUIET;
}
