/** A host without a kernel: recorded state, recorded pictures, recorded answers. */

import { decode, type NdArray } from "../js/shared/arrays";
import { createSchedule } from "../js/shared/schedule";
import type { Dtype } from "../js/shared/state";
import type { Host, HostStatus } from "../js/shared/view";

type Json = Record<string, unknown>;

/** One state of the gallery, as `record.py` writes it; bytes are `{base64}` objects. */
export interface Recorded {
  name: string;
  view: string;
  width: number;
  status: HostStatus;
  note: string;
  state: Json;
  /** Traits that need another picture when they change. */
  depends: string[];
  pictures: { key: Json; layer: number; frame: unknown; axes: unknown }[];
  answers: {
    question: string;
    args: Json;
    message: { ok: boolean; error?: string; result?: Json; layout?: Layout[] };
    buffers: unknown[];
  }[];
}

interface Layout {
  name: string;
  dtype: Dtype;
  shape: number[];
}

const NOT_RECORDED =
  "This page has no kernel, and this was not recorded. " +
  "The first state of each view has all layers, heads and units.";

/** Replaces every `{base64: …}` by its bytes. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  const { base64 } = value as { base64?: unknown };
  if (typeof base64 === "string") return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
}

export function miniHost(
  recorded: Recorded,
  onChange: (changed: Json) => void,
  signal: AbortSignal,
): Host<Json> {
  const state = revive(recorded.state) as Json;
  const changed = new Set<string>();
  const schedule = createSchedule(signal);
  const report = (): void => {
    const names = [...changed];
    changed.clear();
    onChange(Object.fromEntries(names.map((name) => [name, state[name]])));
  };
  const take = (partial: Json): void => {
    for (const [name, value] of Object.entries(partial)) {
      if (JSON.stringify(state[name]) === JSON.stringify(value)) continue;
      state[name] = value;
      changed.add(name);
      schedule.request(report);
    }
  };
  return {
    state,
    status: recorded.status,
    onStatus: () => {},
    stop: () => {},
    set(partial) {
      const picture = recorded.depends.some((name) => name in partial)
        ? pictureFor(recorded, { ...state, ...partial }, "kind" in partial)
        : {};
      take(picture === null ? { error: NOT_RECORDED } : { ...partial, error: "", ...picture });
    },
    async ask(question, args) {
      // Answers belong to the picture that the state opened with.
      const opened = [...recorded.depends, "heads"].every((name) =>
        same(state[name], recorded.state[name]),
      );
      const found = recorded.answers.find(
        (answer) => opened && answer.question === question && same(answer.args, args),
      );
      if (!found?.message.ok) throw new Error(found?.message.error ?? NOT_RECORDED);
      const arrays: Record<string, NdArray> = {};
      for (const [i, { name, dtype, shape }] of (found.message.layout ?? []).entries()) {
        const values = decode(dtype, revive(found.buffers[i]) as Uint8Array);
        arrays[name] = { values, shape };
      }
      return { result: found.message.result ?? {}, arrays };
    },
  };
}

/** The recorded picture for a state; a new kind may bring another layer with it. */
function pictureFor({ depends, pictures }: Recorded, wanted: Json, anyLayer: boolean): Json | null {
  const fits = (key: Json, names: readonly string[]): boolean =>
    names.every((name) => same(key[name], wanted[name]));
  const loose = depends.filter((name) => name !== "layer");
  const found =
    pictures.find(({ key }) => fits(key, depends)) ??
    (anyLayer ? pictures.find(({ key }) => fits(key, loose)) : undefined);
  if (!found) return null;
  const { frame, axes } = revive(found) as { frame: unknown; axes: unknown };
  return { ...found.key, frame, axes };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
