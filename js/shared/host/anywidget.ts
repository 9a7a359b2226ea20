/**
 * The bridge to anywidget, and the only file that knows it.
 *
 * Hosts differ: some throw in `save_changes` or `send`, some pass no `signal`, some call only the
 * returned clean-up. Nothing here relies on more than the weakest of them offers.
 */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import { createSchedule } from "../schedule";
import type { ViewState } from "../state";
import { VIEW_TRAITS, type View, type ViewClass } from "../view";
import { checked } from "./checked";
import { decidesPicture } from "./fixed";
import { type Host, onGone, same } from "./host";
import { createPassing, PASSING, type Passing } from "./passing";
import { answerPictures } from "./pictures";
import { createWire, type Port } from "./wire";

/** The part of anywidget's model that is used. */
export type Model = Pick<AnyModel, "get" | "set" | "on" | "off" | "save_changes" | "send"> & {
  /** Of a model without a kernel: which questions it may be asked. */
  can?(question: string): boolean;
};

/** Makes a module's default export out of a view class. */
export function adapter<S extends ViewState>(
  view: ViewClass<S>,
): () => Extract<AnyWidget, { render?: unknown }> {
  return () => {
    // anywidget calls this once for a model, whatever shows it.
    const passing = createPassing();
    return {
      render({ model, el, signal }) {
        const abort = new AbortController();
        signal?.addEventListener("abort", () => abort.abort(), { once: true });
        mount(view, model, el, abort.signal, passing);
        return () => abort.abort();
      },
    };
  };
}

/** Puts a view of a model into an element, until the signal ends it. */
export function mount<S extends ViewState>(
  viewClass: ViewClass<S>,
  model: Model,
  el: HTMLElement,
  signal: AbortSignal,
  passing: Passing = createPassing(),
): void {
  const names = [...Object.keys(VIEW_TRAITS), ...Object.keys(viewClass.traits)] as (keyof S &
    string)[];
  let view: View<S> | null = null;
  const update = (changed: Partial<S>): void => {
    try {
      view?.update(changed);
    } catch (error) {
      tellFailure(el, viewClass.title, error);
    }
  };
  const host = createHost<S>(model, names, update, signal, el, passing);
  signal.addEventListener("abort", () => view?.destroy());
  try {
    // Boxes of widgets ask for no width: the view takes what there is.
    el.classList.add("gh-place");
    view = new viewClass(el, host);
    // Controls are switched off, or on again.
    onGone(host, () => update({}), signal);
  } catch (error) {
    tellFailure(el, viewClass.title, error);
  }
}

/** A cell that stays blank, or shows an old picture, tells nobody anything. */
function tellFailure(el: HTMLElement, title: string, error: unknown): void {
  const words = error instanceof Error ? error.message : String(error);
  const said = `${title} could not be drawn: ${words}`;
  if (!el.textContent?.includes(said)) el.append(said);
  console.error(error);
}

/** Wraps a model: a state snapshot, changes gathered per animation frame, and the wire. */
export function createHost<S extends object>(
  model: Model,
  traits: readonly (keyof S & string)[],
  onChange: (changed: Partial<S>) => void,
  signal: AbortSignal,
  el: Element | null = null,
  passing: Passing = createPassing(),
): Host<S> {
  const state = {} as S;
  const changed = new Set<keyof S & string>();
  const schedule = createSchedule(signal);
  const report = (): void => {
    const names = [...changed];
    changed.clear();
    if (names.length) onChange(pick(state, names));
  };
  const take = <K extends keyof S & string>(name: K, value: S[K]): void => {
    if (same(state[name], value)) return;
    state[name] = value;
    changed.add(name);
    schedule.request(report);
  };
  /** The model's value; what cannot be drawn is not, and the view says why. */
  const read = <K extends keyof S & string>(name: K): S[K] => {
    const { value, wrong } = checked(name, model.get(name));
    if (wrong) complaint = wrong;
    return value as S[K];
  };
  let complaint = "";
  const complain = (): void => {
    const error = "error" as keyof S & string;
    if (complaint && traits.includes(error)) take(error, complaint as S[keyof S & string]);
  };
  const takeBack = (held: object): void => {
    for (const name of Object.keys(held) as (keyof S & string)[]) take(name, read(name));
  };
  for (const name of traits) {
    state[name] = read(name);
    // One listener per trait: space-separated event names never fire in some hosts.
    const changed = (): void => {
      passing.drop(name);
      // What the pointer was on in another text is no place in this one.
      if (name === "scene") takeBack(passing.release());
      complaint = "";
      take(name, read(name));
      complain();
    };
    listen(model, `change:${name}`, changed, signal);
  }
  complain();
  const wire = createWire(
    { ...portOf(model, el, signal), greeting: () => greeting(state) },
    signal,
  );
  passing.onHold((held) => {
    for (const name of traits) if (name in held) take(name, held[name] as S[typeof name]);
  }, signal);
  const fixed = (name: string): boolean =>
    wire.status === "no kernel" && decidesPicture(state, name);
  const write = (changes: Readonly<Record<string, unknown>>): void => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    // Read-only hosts throw; the view itself has its new state all the same.
    attempt(() => model.save_changes());
  };
  const sendHeld = (): void => {
    const held = passing.release();
    if (Object.keys(held).length) write(held);
  };
  signal.addEventListener("abort", () => attempt(sendHeld));
  return {
    state,
    set(partial) {
      if (signal.aborted) return;
      const names = (Object.keys(partial) as (keyof S & string)[]).filter(
        (name) => !same(state[name], partial[name]),
      );
      // What belongs together changes together, or not at all.
      if (names.length === 0 || names.some(fixed)) return;
      for (const name of names) take(name, partial[name] as S[typeof name]);
      const changes = pick(partial as S, names) as Record<string, unknown>;
      const isPassing = names.every((name) => PASSING.has(name));
      if (isPassing && model.get("watched") !== true) passing.hold(changes, sendHeld);
      else write({ ...passing.release(), ...changes });
      // Nobody answers to where the pointer is.
      if (!isPassing) wire.expect();
    },
    ask: (question, args, asker) => wire.ask(question, args, asker),
    can: (question) => model.can?.(question) ?? true,
    fixed,
    stop: () => attempt(() => model.send({ kind: "stop" })),
    get status() {
      return wire.status;
    },
    get wasThere() {
      return wire.wasThere;
    },
    onStatus: (callback, until) => wire.onStatus(callback, until),
    onPicture: (make, pane) =>
      answerPictures(
        {
          send: (message, buffers) => attempt(() => model.send(message, undefined, buffers)),
          listen(callback) {
            // An explorer is asked for its panes' pictures, too.
            const take = (message: unknown): void => {
              if ((message as { pane?: string } | null)?.pane === pane) callback(message);
            };
            listen(model, "msg:custom", take, signal);
          },
        },
        make,
      ),
  };
}

/** Says which picture the page has: messages can get lost, and so can the picture of a state. */
function greeting(state: object): Record<string, unknown> {
  const { frame } = state as { frame?: { key?: object } };
  return frame ? { frame: frame.key ?? null } : {};
}

function portOf(model: Model, el: Element | null, signal: AbortSignal): Port {
  return {
    // ipywidgets marks the elements of models whose kernel is gone, and tells the models.
    isCut: () => Boolean(el?.closest(".jupyter-widgets-disconnected")),
    onCut: (callback) => listen(model, "comm_live_update", () => queueMicrotask(callback), signal),
    send: (message) => model.send(message),
    listen(callback) {
      listen(
        model,
        "msg:custom",
        (message: unknown, buffers?: readonly unknown[]) => {
          callback(message, buffers ?? []);
        },
        signal,
      );
    },
  };
}

/** `model.on` until the signal aborts. */
function listen(
  model: Model,
  event: string,
  callback: (message: unknown, buffers?: readonly unknown[]) => void,
  signal: AbortSignal,
): void {
  attempt(() => model.on(event, callback));
  signal.addEventListener("abort", () => attempt(() => model.off(event, callback)));
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // The host cannot do that; there is nothing to be done about it here.
  }
}

function pick<S extends object>(state: S, names: readonly (keyof S)[]): Partial<S> {
  const result: Partial<S> = {};
  for (const name of names) result[name] = state[name];
  return result;
}
