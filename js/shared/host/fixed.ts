/** What stays as it is without a kernel: what decides a picture that only a kernel can draw. */

import { hasFrame, type MaybeFrame } from "../state";

type State = Readonly<Record<string, unknown>>;

/**
 * Whether a picture that is shown answers this trait: each frame's key names what it depends on.
 *
 * An explorer has a frame of each pane, `<pane>_frame`, whose key has the pane's own names.
 */
export function decidesPicture(state: object, name: string): boolean {
  return Object.keys(state).some((trait) => {
    if (!/(^|_)frame$/.test(trait)) return false;
    const pane = trait.slice(0, -"frame".length);
    const outside = (own: string): string => (pane + own in state ? pane + own : own);
    return keyNames((state as State)[trait]).some((own) => outside(own) === name);
  });
}

function keyNames(frame: unknown): string[] {
  const of = frame as MaybeFrame<{ kind: string; key: object }> | undefined;
  return of && hasFrame(of) ? Object.keys(of.key ?? {}) : [];
}
