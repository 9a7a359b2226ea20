import { beforeEach, describe, expect, test } from "vitest";
import { createHost } from "../../js/shared/host/anywidget";
import type { Host } from "../../js/shared/host/host";
import { NOT_RECORDED, type Recording, recordedModel } from "../../js/shared/host/recorded";

interface State {
  kind: string;
  layer: number;
  heads: number[];
  hovered: number | null;
  frame: { name: string; bytes: Uint8Array };
  error: string;
}
const NAMES = ["kind", "layer", "heads", "hovered", "frame", "error"] as const;

/** Two layers of one kind and one of another, whose only layer is 5. */
function recording(): Recording {
  const picture = (kind: string, layer: number) => ({
    when: { kind, layer },
    traits: { frame: { name: `${kind} ${layer}`, bytes: { base64: "AQI=" } } },
  });
  const pictures = [picture("self", 0), picture("self", 1), picture("cross", 5)];
  const message = { kind: "answer", id: "", ok: true, result: { position: 3 } };
  const layout = [{ name: "weights", dtype: "float32", shape: [2] }];
  return {
    state: {
      ...{ kind: "self", layer: 0, heads: [], hovered: null, error: "" },
      ...pictures[0]?.traits,
    },
    depends: ["kind", "layer"],
    pictures,
    answers: [
      {
        when: { kind: "self", layer: 0, heads: [] },
        question: "fan",
        args: { side: "query", position: 3 },
        message: { ...message, layout },
        // 0.5 and 0.25 as little-endian floats.
        buffers: [{ base64: "AAAAPwAAgD4=" }],
      },
    ],
  };
}

const passed = (): Promise<void> =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())));

let changes: Partial<State>[];
let host: Host<State>;

beforeEach(() => {
  // Each test has a list of its own: an earlier host may still have something to say.
  const own: Partial<State>[] = [];
  changes = own;
  const signal = new AbortController().signal;
  host = createHost<State>(recordedModel(recording()), NAMES, (one) => own.push(one), signal);
});

describe("pictures", () => {
  test("the page opens as it was recorded, bytes and all", () => {
    expect(host.state.frame).toEqual({ name: "self 0", bytes: Uint8Array.from([1, 2]) });
    expect(host.status).toBe("ready");
  });

  test("a change brings the picture that was recorded for it", async () => {
    host.set({ layer: 1 });
    await passed();
    expect(host.state.frame.name).toBe("self 1");
    expect(changes).toEqual([{ layer: 1, frame: host.state.frame }]);
  });

  test("what was not recorded is refused in words, and everything stays", async () => {
    const { frame } = host.state;
    host.set({ layer: 7, hovered: 2 });
    await passed();
    expect(host.state).toMatchObject({ layer: 0, hovered: null, error: NOT_RECORDED });
    expect(host.state.frame).toBe(frame);
    host.set({ layer: 1 });
    expect(host.state).toMatchObject({ layer: 1, error: "" });
  });

  test("another kind brings the layer that it has", () => {
    host.set({ kind: "cross" });
    expect(host.state).toMatchObject({ kind: "cross", layer: 5 });
    expect(host.state.frame.name).toBe("cross 5");
  });

  test("what no picture depends on needs none", async () => {
    host.set({ hovered: 2 });
    await passed();
    expect(changes).toEqual([{ hovered: 2 }]);
  });
});

describe("answers", () => {
  const args = { position: 3, side: "query" };

  test("a recorded ask has its answer, as it came over the wire", async () => {
    const { result, arrays } = await host.ask("fan", args);
    expect(result).toEqual({ position: 3 });
    expect(Array.from(arrays.weights?.values ?? [])).toEqual([0.5, 0.25]);
  });

  test("an ask that was not recorded is refused in words", async () => {
    await expect(host.ask("fan", { ...args, position: 4 })).rejects.toThrow(NOT_RECORDED);
    await expect(host.ask("fan", { ...args, more: 1 })).rejects.toThrow(NOT_RECORDED);
    await expect(host.ask("top_k", args)).rejects.toThrow(NOT_RECORDED);
  });

  test("an answer holds only in the state that it was recorded in", async () => {
    host.set({ heads: [1] });
    await expect(host.ask("fan", args)).rejects.toThrow(NOT_RECORDED);
    host.set({ heads: [] });
    expect((await host.ask("fan", args)).result).toEqual({ position: 3 });
  });

  test("a page can say in words of its own what it has not", async () => {
    const model = recordedModel(recording(), "Only layer 0 is here.");
    const signal = new AbortController().signal;
    const other = createHost<State>(model, NAMES, () => {}, signal);
    await expect(other.ask("top_k", {})).rejects.toThrow("Only layer 0 is here.");
  });
});
