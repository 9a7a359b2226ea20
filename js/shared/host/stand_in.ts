/**
 * A model without a kernel: it stands where anywidget's model stands, so that views, host and wire
 * run as they do in a notebook. What a kernel would do is done by whoever is asked here instead.
 */

import type { Model } from "./anywidget";
import { same } from "./host";

export type Json = Readonly<Record<string, unknown>>;

/** What does a kernel's work. What it returns may come later; what is overtaken is dropped. */
export interface InsteadOfKernel {
  /** What else a kernel would set at once when the view has changed `before` to `state`. */
  follow(state: Json, before: Json): Json;
  /** The pictures that are missing then; it rejects, in words, where one cannot be had. */
  pictures(state: Json, before: Json): Json | Promise<Json>;
  /** Whether such a question can be answered at all. */
  can?(question: string): boolean;
  /** A kernel's reply to a question, without its id, and its buffers. */
  reply(state: Json, question: string, args: Json): Reply | Promise<Reply>;
}

export type Reply = readonly [message: Json, buffers: readonly unknown[]];

type Listener = (...args: never[]) => void;

/** `state` has the traits as the page opens. */
export function standIn(state: Record<string, unknown>, instead: InsteadOfKernel): Model {
  const { fire, on, off } = events();
  /** What has been set since the last save, with the values before. */
  let before: Record<string, unknown> = {};
  let saves = 0;
  const put = (changes: Json): void => {
    for (const [name, value] of Object.entries(changes)) {
      if (same(state[name], value)) continue;
      state[name] = value;
      fire(`change:${name}`);
    }
  };
  const draw = (changed: Json): void => {
    const save = ++saves;
    const show = (traits: Json): void => {
      if (save === saves) put({ error: "", ...traits });
    };
    const fail = (error: unknown): void => show({ error: inWords(error) });
    try {
      const drawn = instead.pictures(state, changed);
      if (drawn instanceof Promise) drawn.then(show, fail);
      else show(drawn);
    } catch (error) {
      fail(error);
    }
  };
  const answer = async ({ id, question, args }: Json): Promise<void> => {
    let [message, buffers]: Reply = [{}, []];
    try {
      [message, buffers] = await instead.reply(state, String(question), (args ?? {}) as Json);
    } catch (error) {
      message = refused(inWords(error));
    }
    fire("msg:custom", { ...message, id }, buffers);
  };
  const model = {
    get: (name: string) => state[name],
    set(name: string, value: unknown) {
      if (!(name in before)) before[name] = state[name];
      put({ [name]: value });
    },
    save_changes() {
      const changed = before;
      before = {};
      put(instead.follow(state, changed));
      draw(changed);
    },
    // A reply comes after the message has gone out, as from any kernel.
    send: (message: Json) =>
      queueMicrotask(() => {
        if (message.kind === "hello") fire("msg:custom", { kind: "hello", id: message.id }, []);
        else if (message.kind === "ask") void answer(message);
      }),
    can: (question: string) => instead.can?.(question) ?? true,
    on,
    off,
  };
  return model as unknown as Model;
}

/** A reply that says why there is none. */
export function refused(error: string): Json {
  return { kind: "answer", ok: false, error };
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function events() {
  const listeners = new Map<string, Set<Listener>>();
  return {
    fire(event: string, ...args: unknown[]): void {
      for (const listener of [...(listeners.get(event) ?? [])]) listener(...(args as never[]));
    },
    on(event: string, listener: Listener): void {
      const known = listeners.get(event) ?? new Set();
      listeners.set(event, known.add(listener));
    },
    off(event: string, listener: Listener): void {
      listeners.get(event)?.delete(listener);
    },
  };
}
