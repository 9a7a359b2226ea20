/**
 * The world of a pane: a view that is a part of an explorer, and has no model of its own.
 *
 * The explorer's state has what all panes share under its own name, and everything else of a pane
 * as `<pane>_<trait>`. Questions go out as `<pane>.<question>`.
 */

import { type Frame, hasAxes, hasFrame, type MaybeAxes, type MaybeFrame } from "../state";
import type { Host, PaneWords } from "./host";

export interface PaneHost<S> extends Host<S> {
  /** What of a change of the explorer concerns the pane, by the pane's own names. */
  changed(names: Iterable<string>): Partial<S>;
  /** Pixels that the pane has; 0 = as high as its content. The explorer's layout decides. */
  height: number;
}

type State = Readonly<Record<string, unknown>>;

/** `names` are the pane's traits, `shared` those of them that all panes have in common. */
export function paneHost<S extends object>(
  explorer: Host<never>,
  pane: string,
  names: readonly (keyof S & string)[],
  shared: ReadonlySet<string>,
  words: PaneWords,
): PaneHost<S> {
  const outside = explorer.state as State;
  // A pane that has labels of its own brings them under its name.
  const isOwn = (name: string): boolean => !shared.has(name) || `${pane}_${name}` in outside;
  const outsideName = (name: string): string => (isOwn(name) ? `${pane}_${name}` : name);
  const insideNames = new Map(names.map((name) => [outsideName(name), name]));
  const fitting = fittingAxes();
  const state = {} as S;
  for (const name of names) {
    const get = (): unknown => outside[outsideName(name)];
    Object.defineProperty(state, name, { get, enumerable: true, configurable: true });
  }
  if (!(`${pane}_axes` in outside)) {
    const axes = (): unknown => fitting(outside.axes as MaybeAxes, outside[outsideName("frame")]);
    Object.defineProperty(state, "axes", { get: axes });
  }
  const host: PaneHost<S> = {
    state,
    pane: true,
    words,
    height: 0,
    changed(changes) {
      const inside = [...changes].flatMap((name) => insideNames.get(name) ?? []);
      return Object.fromEntries(inside.map((name) => [name, state[name]])) as Partial<S>;
    },
    set(partial) {
      const renamed = Object.entries(partial).map(([name, value]) => [outsideName(name), value]);
      explorer.set(Object.fromEntries(renamed) as never);
    },
    ask: (question, args, signal) => explorer.ask(`${pane}.${question}`, args, signal),
    can: (question) => explorer.can?.(`${pane}.${question}`) ?? true,
    fixed: (name) => explorer.fixed?.(outsideName(name) as never) ?? false,
    stop: () => explorer.stop(),
    onPicture: (make) => explorer.onPicture?.(make, pane),
    get status() {
      return explorer.status;
    },
    get wasThere() {
      return explorer.wasThere;
    },
    onStatus: (callback, signal) => explorer.onStatus(callback, signal),
  };
  Object.defineProperty(state, "height", { get: () => host.height });
  return host;
}

/**
 * The labels that a pane's picture is of: of another unit or kind than the explorer's they are
 * until the picture of these is there.
 */
function fittingAxes(): (now: MaybeAxes, frame: unknown) => MaybeAxes {
  let last: MaybeAxes = {};
  return (now, frame) => {
    if (!hasAxes(last) || !hasAxes(now) || fits(now, frame as MaybeFrame<Frame>)) last = now;
    return last;
  };
}

/** A picture that is of no unit has its labels with it. */
function fits({ kind, unit }: { kind: string; unit: string }, frame: MaybeFrame<Frame>): boolean {
  if (!hasFrame(frame) || !("unit" in frame.key)) return true;
  const key = frame.key as { kind?: unknown; unit?: unknown };
  return key.kind === kind && key.unit === unit;
}
