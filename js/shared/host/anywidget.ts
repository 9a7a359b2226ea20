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
import { type Host, same } from "./host";
import { answerPictures } from "./pictures";
import { createWire, type Port } from "./wire";

/** The part of anywidget's model that is used. */
export type Model = Pick<AnyModel, "get" | "set" | "on" | "off" | "save_changes" | "send">;

/** Makes a module's default export out of a view class. */
export function adapter<S extends ViewState>(
  view: ViewClass<S>,
): () => Extract<AnyWidget, { render?: unknown }> {
  return () => ({
    render({ model, el, signal }) {
      const abort = new AbortController();
      signal?.addEventListener("abort", () => abort.abort(), { once: true });
      mount(view, model, el, abort.signal);
      return () => abort.abort();
    },
  });
}

/** Puts a view of a model into an element, until the signal ends it. */
export function mount<S extends ViewState>(
  viewClass: ViewClass<S>,
  model: Model,
  el: HTMLElement,
  signal: AbortSignal,
): void {
  const names = [...Object.keys(VIEW_TRAITS), ...Object.keys(viewClass.traits)] as (keyof S &
    string)[];
  let view: View<S> | null = null;
  const host = createHost<S>(model, names, (changed) => view?.update(changed), signal, el);
  signal.addEventListener("abort", () => view?.destroy());
  try {
    // Boxes of widgets ask for no width: the view takes what there is.
    el.classList.add("gh-place");
    view = new viewClass(el, host);
  } catch (error) {
    // A cell that stays blank tells nobody anything.
    const words = error instanceof Error ? error.message : String(error);
    el.append(`${viewClass.title} could not be drawn: ${words}`);
    console.error(error);
  }
}

/** Wraps a model: a state snapshot, changes gathered per animation frame, and the wire. */
export function createHost<S extends object>(
  model: Model,
  traits: readonly (keyof S & string)[],
  onChange: (changed: Partial<S>) => void,
  signal: AbortSignal,
  el: Element | null = null,
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
  for (const name of traits) {
    state[name] = model.get(name);
    // One listener per trait: space-separated event names never fire in some hosts.
    listen(model, `change:${name}`, () => take(name, model.get(name)), signal);
  }
  const wire = createWire(
    { ...portOf(model, el, signal), greeting: () => greeting(state) },
    signal,
  );
  return {
    state,
    set(partial) {
      if (signal.aborted) return;
      const names = (Object.keys(partial) as (keyof S & string)[]).filter(
        (name) => !same(state[name], partial[name]),
      );
      if (names.length === 0) return;
      for (const name of names) {
        take(name, partial[name] as S[typeof name]);
        model.set(name, partial[name]);
      }
      // Read-only hosts throw; the view itself has its new state all the same.
      attempt(() => model.save_changes());
      wire.expect();
    },
    ask: (question, args, asker) => wire.ask(question, args, asker),
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
