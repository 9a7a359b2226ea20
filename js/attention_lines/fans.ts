/** Exact weights of the lit tokens: asked from the kernel, drawn from the frame until they come. */

import { type NdArray, type NumberArray, unpack } from "../shared/arrays";
import type { Answer, Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import type { Side } from "../shared/map/axis";
import type { At } from "../shared/map/pin";
import { type Fan, fanFromFrame, fanValues, strongestLine } from "./fan";
import type { Lines } from "./lines";
import type { LinesPicture } from "./picture";
import type { LinesFrame, LinesKey, LinesState } from "./state";

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
    read: (answer, { side, position }: { position: number; side: Side }) =>
      about && readFan(answer, { side, unit: position }, about),
    onReply() {
      refresh();
      onArrival();
    },
  });
  const broughtOf = ({ side, unit }: At): Fan | undefined =>
    brought.find((fan) => fan.side === side && fan.unit === unit);
  const argsOf = ({ side, unit }: At) => ({ position: unit, side });
  const refresh = (): void => {
    const lines = picture?.content;
    if (!picture || !lines) {
      current = [];
      return;
    }
    const { query, key } = picture;
    current = wanted.map((at) => {
      const other = at.side === "query" ? key.length : query.length;
      return broughtOf(at) ?? exact.value(argsOf(at)) ?? fanFromFrame(lines, at, other);
    });
    // One at a time, the one to talk about first.
    const asked = wanted.filter((at) => !broughtOf(at));
    const next = asked.reverse().find((at) => !exact.reply(argsOf(at)));
    if (next) exact.ask(argsOf(next));
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

/** Whether an answer is about the picture that is shown. */
export function isAbout(key: unknown, of: LinesKey): boolean {
  return JSON.stringify(key) === JSON.stringify(of);
}

function readFan({ result, arrays }: Answer, at: At, { frame }: Lines): Fan | null {
  const { weights, drawn, heads } = arrays;
  if (!isAbout(result.key, frame.key) || !weights || !drawn || !heads) return null;
  return exactFan(at, { weights, drawn, heads });
}

/** The fans that a frame brings: those of what was lit when it was drawn need not be asked for. */
function fansOf({ fans = [] }: LinesFrame): Fan[] {
  return fans.map(({ side, position, weights, drawn, heads }) => {
    const array = (of: typeof weights): NdArray => ({ values: unpack(of), shape: of.shape });
    const arrays = { weights: array(weights), drawn: array(drawn), heads: array(heads) };
    return exactFan({ side, unit: position }, arrays);
  });
}

function exactFan(
  at: At,
  { weights, drawn, heads }: Record<"weights" | "drawn" | "heads", NdArray>,
): Fan {
  return {
    ...at,
    heads: heads.values,
    weights: withoutGaps(weights.values),
    drawn: withoutGaps(drawn.values),
    n: weights.shape[1] ?? 0,
    exact: true,
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
