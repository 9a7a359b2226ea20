import { beforeEach, describe, expect, test, vi } from "vitest";
import { AttentionLinesView } from "../../js/attention_lines/view";
import { createHost, mount } from "../../js/shared/host/anywidget";
import { checked } from "../../js/shared/host/checked";
import { common, find, pack, selfAxes, settle } from "./fake_host";
import { FakeModel } from "./fake_model";
import { linesFrame } from "./lines_frames";

describe("what comes from outside", () => {
  test("is taken as it is, where it is what it should be", () => {
    const frame = { kind: "any", key: {}, parts: [{ values: pack([1, 2]) }], texts: ["a"] };
    for (const [name, value] of Object.entries({
      ...common(selfAxes(["a", "b"])),
      frame,
      lines_frame: frame,
      lines_threshold: null,
    })) {
      expect(checked(name, value)).toEqual({ value, wrong: "" });
    }
  });

  test.each([
    ["bytes are missing", { ...pack([1, 2, 3]), shape: [2, 2] }, "has 3 bytes"],
    ["a size is huge", { ...pack([1]), shape: [1e6, 1e6] }, "needs 1000000000000"],
    ["a size is no number", { ...pack([1]), shape: ["1"] }, "has no shape"],
    ["a size is below 0", { ...pack([1]), shape: [-1, -1] }, "has no shape"],
    ["the data is text", { dtype: "uint8", shape: [1], data: "A" }, "has no data"],
    ["the data is gone", { dtype: "uint8", shape: [1] }, "has no data"],
    ["the type is unknown", { ...pack([1]), dtype: "int64" }, "of dtype int64"],
  ])("is no picture where of an array %s", (_, array, words) => {
    const frame = { kind: "any", key: {}, deep: { list: [{ array }] } };
    for (const name of ["frame", "matrix_frame", "axes", "chart_detail"]) {
      const { value, wrong } = checked(name, frame);
      expect(value).toEqual({});
      expect(wrong).toContain(`${name}.deep.list.0.array`);
      expect(wrong).toContain(words);
      expect(wrong).toContain("Run the cell again");
    }
  });

  test.each([
    ["layer", "1", 0],
    ["heads", [1, "x"], []],
    ["hovered", { y: 1 }, null],
    ["selected", "none", []],
    ["lines_threshold", "0.3", null],
    ["strip_k", null, 5],
    ["frame", "gone", {}],
    ["error", 3, ""],
    ["story", {}, []],
  ])("of the wrong type gives way: %s", (name, value, instead) => {
    expect(checked(name, value)).toMatchObject({ value: instead });
    expect(checked(name, value).wrong).toContain(name);
  });
});

const drawn = () => linesFrame(selfAxes(["a", "b", "c"]), { lines: [[1, 0, 0, 0.5]] });

describe("a view whose state is damaged", () => {
  let el: HTMLElement;
  beforeEach(() => {
    el = document.createElement("div");
    document.body.append(el);
    vi.spyOn(console, "error").mockImplementation(() => {});
  });

  function open(damage: Record<string, unknown>): FakeModel {
    const axes = selfAxes(["a", "b", "c"]);
    const whole = { ...common(axes), aggregate: "mean", sinks: "auto", top_k: 2, threshold: null };
    const state = { ...whole, blank: false, orientation: "vertical", frame: drawn() };
    const model = new FakeModel({ ...state, ...damage });
    mount(AttentionLinesView, model.asModel, el, new AbortController().signal);
    return model;
  }

  test("says so and throws nothing", async () => {
    const frame = drawn();
    const thumbnails = { ...frame.thumbnails, shape: [2, 4000, 4000] };
    open({ frame: { ...frame, thumbnails }, hovered: "3", threshold: "x" });
    await settle();
    expect(console.error).not.toHaveBeenCalled();
    expect(find(el, ".gh").textContent).toContain("is damaged");
  });

  test("keeps to what can be drawn when a kernel sends something else", async () => {
    const model = open({});
    await settle();
    for (const [name, value] of [
      ["layer", "two"],
      ["selected", 3],
      ["frame", { kind: "lines", key: {}, heads: { dtype: "uint16", shape: [9], data: null } }],
    ] as const) {
      model.set(name, value);
      await settle();
      expect(find(el, ".gh").textContent).toContain(`(${name}`);
    }
    expect(console.error).not.toHaveBeenCalled();
  });
});

test("a host without the trait is left alone", () => {
  const model = new FakeModel({});
  const host = createHost(model.asModel, ["layer"], () => {}, new AbortController().signal);
  expect(host.state).toEqual({ layer: undefined });
});
