/** Exact weights of the lit tokens: asked from the kernel, drawn from the frame until they come. */

import type { Answer, Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import type { Side } from "../shared/map/axis";
import type { At } from "../shared/map/pin";
import { type Fan, fanFromFrame, fanMean, type Lines } from "./lines";
import type { LinesPicture } from "./picture";
import type { LinesState } from "./state";

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
  let about: { lines: Lines | null; heads: string } = { lines: null, heads: "" };

  const exact = createQuestion(host, signal, {
    name: "fan",
    read: (answer, { side, position }: { position: number; side: Side }) =>
      about.lines && readFan(answer, { side, unit: position }, about.lines),
    onReply() {
      refresh();
      onArrival();
    },
  });
  const argsOf = ({ side, unit }: At) => ({ position: unit, side });
  const refresh = (): void => {
    const of = picture;
    const lines = of?.content;
    if (!of || !lines) {
      current = [];
      return;
    }
    current = wanted.map((at) => {
      const other = at.side === "query" ? of.key.length : of.query.length;
      return exact.value(argsOf(at)) ?? fanFromFrame(lines, host.state.heads, at, other);
    });
    // One at a time, the one to talk about first.
    const next = [...wanted].reverse().find((at) => !exact.reply(argsOf(at)));
    if (next) exact.ask(argsOf(next));
  };

  return {
    get current() {
      return current;
    },
    want(units, of) {
      const now = { lines: of.content, heads: host.state.heads.join() };
      if (about.lines !== now.lines || about.heads !== now.heads) exact.forget();
      [about, wanted, picture] = [now, units, of];
      refresh();
    },
  };
}

/** Null where the answer is about another picture than the one that is shown. */
function readFan({ result, arrays }: Answer, at: At, { frame }: Lines): Fan | null {
  const { layer, kind, unit } = frame.key;
  const { weights, heads } = arrays;
  const same = result.layer === layer && result.kind === kind && result.unit === unit;
  if (!same || !weights || !heads) return null;
  return {
    ...at,
    heads: heads.values,
    // A row that is undefined looks nowhere, and says so itself.
    weights: Float32Array.from(weights.values, (value) => value || 0),
    n: weights.shape[1] ?? 0,
    exact: true,
  };
}

// Units of the other side with less than this share of the largest weight step back.
const QUIET = 0.04;

/** Which units of a side the fans hardly touch; null when no fan reaches that side. */
export function quietUnits(fans: readonly Fan[], side: Side): ((unit: number) => boolean) | null {
  const reaching = fans.filter((fan) => fan.side !== side);
  if (!reaching.length) return null;
  const sum = new Float32Array(reaching[0]?.n ?? 0);
  for (const fan of reaching) {
    for (const [unit, weight] of fanMean(fan).entries()) sum[unit] = (sum[unit] ?? 0) + weight;
  }
  const floor = QUIET * sum.reduce((a, b) => Math.max(a, b), 0);
  return (unit) => (sum[unit] ?? 0) < floor;
}
