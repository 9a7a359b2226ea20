/** Pointer and keys of the two columns, as what they mean: point at a token or a line, pin, move. */

import { handled, inField } from "../shared/keys";
import type { Side } from "../shared/map/axis";
import type { At } from "../shared/map/pin";
import type { Shell } from "../shared/shell";
import type { Curve } from "./geometry";
import type { Stage } from "./stage";

interface From {
  side: Side;
  unit: number | null;
  length: Record<Side, number>;
  /** Whether tokens run from left to right. */
  horizontal: boolean;
}

export interface Actions {
  /** The token pointed at, on the side where pointer or arrow keys were last; null = none. */
  at(): From | null;
  point(at: At | null): void;
  pointLine(line: Curve | null, event: MouseEvent): void;
  /** What a row gives to sinks is pointed at; null = no more. */
  pointSinks(row: number | null, event: MouseEvent): void;
  leave(event: MouseEvent): void;
  pin(at: At): void;
}

export interface Gestures {
  /** Handles a key press on the view itself; keys common to all views come before. */
  key(event: KeyboardEvent): void;
}

export function createGestures(shell: Shell, stage: Stage, actions: Actions): Gestures {
  const { root, signal } = shell;
  const { plane } = stage;
  plane.addEventListener(
    "pointermove",
    (event) => {
      const at = stage.unitAt(event);
      const onGutter = at?.side === "query" && stage.isOnGutter(event);
      actions.point(at);
      if (onGutter) actions.pointSinks(at.unit, event);
      else actions.pointLine(at ? null : stage.lineAt(event), event);
    },
    { signal },
  );
  plane.addEventListener("pointerleave", actions.leave, { signal });
  plane.addEventListener(
    "click",
    (event) => {
      const at = stage.unitAt(event);
      if (at) actions.pin(at);
    },
    { signal },
  );
  return {
    key(event) {
      const from = actions.at();
      if (!from || inField(event) || event.target !== root) return;
      const { side, unit, length } = from;
      const name = from.horizontal ? (TURNED[event.key] ?? event.key) : event.key;
      const to = step(name, side, unit, length[side] - 1, stage.pageOf(side));
      if (to) {
        const last = length[to.side] - 1;
        const at = { ...to, unit: Math.min(last, Math.max(0, to.unit)) };
        actions.point(at);
        stage.reveal(at);
      } else if ((event.key === "Enter" || event.key === " ") && unit !== null) {
        actions.pin({ side, unit });
      } else return;
      handled(event);
    },
  };
}

/** Arrow keys along two rows, as they are along two columns. */
const TURNED: Readonly<Record<string, string>> = {
  ArrowRight: "ArrowDown",
  ArrowLeft: "ArrowUp",
  ArrowUp: "ArrowLeft",
  ArrowDown: "ArrowRight",
};

/** Where a key leads; null for one that leads nowhere. */
function step(key: string, side: Side, unit: number | null, last: number, page: number): At | null {
  if (key === "ArrowDown") return { side, unit: unit === null ? 0 : unit + 1 };
  if (key === "ArrowUp") return { side, unit: (unit ?? 1) - 1 };
  if (key === "ArrowLeft") return { side: "query", unit: unit ?? 0 };
  if (key === "ArrowRight") return { side: "key", unit: unit ?? 0 };
  if (key === "Home") return { side, unit: 0 };
  if (key === "End") return { side, unit: last };
  if (key === "PageDown") return { side, unit: (unit ?? 0) + page };
  if (key === "PageUp") return { side, unit: (unit ?? 0) - page };
  return null;
}
