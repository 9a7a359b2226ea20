/** Exact weights of the lit tokens: asked from the kernel, drawn from the frame until they come. */

import type { Side } from "../shared/axis_text";
import type { Host } from "../shared/view";
import { type Fan, fanFromFrame, fanMean, type Lines } from "./lines";
import type { LinesState } from "./state";

export interface FanRequest {
  side: Side;
  unit: number;
}

export interface Fans {
  /** The fans to draw; the last one is the one to talk about. */
  readonly current: readonly Fan[];
  want(requests: readonly FanRequest[], lines: Lines | null, n: Record<Side, number>): void;
}

// Pins beyond these keep the frame's weights: one question is asked at a time.
const REMEMBERED = 64;

export function createFans(
  host: Host<LinesState>,
  signal: AbortSignal,
  onArrival: () => void,
): Fans {
  let current: Fan[] = [];
  let wanted: readonly FanRequest[] = [];
  let known: { lines: Lines | null; heads: string } = { lines: null, heads: "" };
  const exact = new Map<string, Fan>();
  let asking = "";

  const name = ({ side, unit }: FanRequest): string => `${side}:${unit}`;

  const ask = async (request: FanRequest, lines: Lines): Promise<void> => {
    const { layer, kind, unit } = lines.frame.key;
    const heads = known.heads;
    asking = name(request);
    try {
      const answer = await host.ask("fan", { position: request.unit, side: request.side }, signal);
      const { result } = answer;
      const weights = answer.arrays.weights;
      const numbers = answer.arrays.heads;
      const stale =
        known.lines !== lines ||
        known.heads !== heads ||
        result.layer !== layer ||
        result.kind !== kind ||
        result.unit !== unit;
      if (signal.aborted || stale || !weights || !numbers) return;
      exact.set(name(request), {
        ...request,
        heads: numbers.values,
        // A row that is undefined looks nowhere, and says so itself.
        weights: Float32Array.from(weights.values, (value) => value || 0),
        n: weights.shape[1] ?? 0,
        exact: true,
      });
      if (exact.size > REMEMBERED) exact.delete(exact.keys().next().value ?? "");
      refresh();
      onArrival();
    } catch {
      // No kernel, or a newer question: the frame's own lines stay, and it is said if these are not all.
    } finally {
      if (asking === name(request)) asking = "";
    }
  };

  let sizes: Record<Side, number> = { query: 0, key: 0 };
  const refresh = (): void => {
    const { lines } = known;
    if (!lines) {
      current = [];
      return;
    }
    current = wanted.map((request) => {
      const other = request.side === "query" ? sizes.key : sizes.query;
      return (
        exact.get(name(request)) ??
        fanFromFrame(lines, host.state.heads, request.side, request.unit, other)
      );
    });
    const missing = [...wanted].reverse().find((request) => !exact.has(name(request)));
    if (missing && asking !== name(missing) && host.status !== "no kernel") {
      void ask(missing, lines);
    }
  };

  return {
    get current() {
      return current;
    },
    want(requests, lines, n) {
      const heads = host.state.heads.join();
      if (known.lines !== lines || known.heads !== heads) exact.clear();
      known = { lines, heads };
      wanted = requests;
      sizes = n;
      refresh();
    },
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
