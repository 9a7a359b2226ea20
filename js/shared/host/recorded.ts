/**
 * A model without a kernel: it knows by heart what a kernel said when it was recorded.
 *
 * It stands where anywidget's model stands, so that views, host and wire run as they do in a
 * notebook. It answers what it has been recorded with; to anything else it says plainly that it
 * has not, and leaves the last picture as it is, as a kernel does that refuses.
 */

import type { Model } from "./anywidget";
import { same } from "./host";

type Json = Readonly<Record<string, unknown>>;

/**
 * What was recorded, as JSON; bytes are `{base64: …}` wherever they stand.
 *
 * `when` names the state in which a picture or an answer holds. Traits that it does not name may
 * be anything.
 */
export interface Recording {
  /** The traits as the page opens. */
  state: Json;
  /** Traits whose change needs another picture. */
  depends: readonly string[];
  pictures: readonly RecordedPicture[];
  answers: readonly RecordedAnswer[];
}

export interface RecordedPicture {
  /** The values of all that it depends on. */
  when: Json;
  /** What the kernel set for it: `frame`, `axes`, … */
  traits: Json;
}

export interface RecordedAnswer {
  when: Json;
  question: string;
  args: Json;
  /** The kernel's reply as it went over the wire, but for the id of the ask. */
  message: Json;
  buffers: readonly unknown[];
}

export const NOT_RECORDED =
  "This page has no kernel, and this was not recorded: open it in a notebook to see it.";

/** Replaces every `{base64: …}` by its bytes. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  const { base64 } = value as { base64?: unknown };
  if (typeof base64 === "string") return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
}

type Listener = (...args: never[]) => void;

/** `refusal` is what it says of anything that it was not recorded with. */
export function recordedModel(recording: Recording, refusal: string = NOT_RECORDED): Model {
  const { fire, on, off } = events();
  const state: Record<string, unknown> = revive(recording.state) as Json;
  /** What has been set since the last save, with the values before. */
  let before: Record<string, unknown> = {};
  const put = (changes: Json): void => {
    for (const [name, value] of Object.entries(changes)) {
      if (same(state[name], value)) continue;
      state[name] = value;
      fire(`change:${name}`);
    }
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
      put(outcome(recording, state, changed, refusal));
    },
    // A reply comes after the ask has gone out, as from any kernel.
    send: (message: Json) =>
      queueMicrotask(() => {
        const [answer, buffers] = reply(recording, state, message, refusal);
        if (answer) fire("msg:custom", answer, buffers);
      }),
    on,
    off,
  };
  return model as unknown as Model;
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

/** What a kernel would set once the view has changed `before` to `state`. */
function outcome(recording: Recording, state: Json, before: Json, refusal: string): Json {
  if (!recording.depends.some((name) => name in before)) return { error: "" };
  const picture = pictureFor(recording, state, "kind" in before);
  if (!picture) return { ...before, error: refusal };
  return { ...picture.when, ...(revive(picture.traits) as Json), error: "" };
}

/** What a kernel would reply, with its buffers; null where no reply is due. */
function reply(
  { answers }: Recording,
  state: Json,
  { kind, id, question, args }: Json,
  refusal: string,
): [message: Json | null, buffers: unknown[]] {
  if (kind !== "ask") return [kind === "hello" ? { kind } : null, []];
  const found = answers.find(
    (one) => one.question === question && equal(one.args, args as Json) && holds(one.when, state),
  );
  const message = found?.message ?? { kind: "answer", ok: false, error: refusal };
  return [{ ...message, id }, found?.buffers.map(revive) ?? []];
}

/** The picture of a state; another kind may bring another layer with it. */
function pictureFor(
  { depends, pictures }: Recording,
  state: Json,
  anyLayer: boolean,
): RecordedPicture | undefined {
  const fits = (names: readonly string[]) =>
    pictures.find(({ when }) => names.every((name) => same(when[name], state[name])));
  return fits(depends) ?? (anyLayer ? fits(depends.filter((name) => name !== "layer")) : undefined);
}

function holds(when: Json, state: Json): boolean {
  return Object.entries(when).every(([name, value]) => same(value, state[name]));
}

function equal(a: Json, b: Json): boolean {
  return holds(a, b) && holds(b, a);
}
