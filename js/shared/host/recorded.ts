/**
 * A model without a kernel: it knows by heart what a kernel said when it was recorded.
 *
 * It stands where anywidget's model stands, so that views, host and wire run as they do in a
 * notebook. It answers what it has been recorded with; to anything else it says plainly that it
 * has not, and leaves the last picture as it is, as a kernel does that refuses.
 */

import type { Model } from "./anywidget";
import { same } from "./host";
import { type Json, type Reply, refused, standIn } from "./stand_in";

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

/** `refusal` is what it says of anything that it was not recorded with. */
export function recordedModel(recording: Recording, refusal: string = NOT_RECORDED): Model {
  return standIn(revive(recording.state) as Record<string, unknown>, {
    follow: () => ({}),
    pictures: (state, before) => outcome(recording, state, before, refusal),
    reply: (state, question, args) => reply(recording, state, question, args, refusal),
  });
}

/** What a kernel would set once the view has changed `before` to `state`. */
function outcome(recording: Recording, state: Json, before: Json, refusal: string): Json {
  if (!recording.depends.some((name) => name in before)) return { error: "" };
  const picture = pictureFor(recording, state, "kind" in before);
  if (!picture) return { ...before, error: refusal };
  return { ...picture.when, ...(revive(picture.traits) as Json), error: "" };
}

/** What a kernel would reply, with its buffers. */
function reply(
  { answers }: Recording,
  state: Json,
  question: string,
  args: Json,
  refusal: string,
): Reply {
  const found = answers.find(
    (one) => one.question === question && equal(one.args, args) && holds(one.when, state),
  );
  return found ? [found.message, found.buffers.map(revive)] : [refused(refusal), []];
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
