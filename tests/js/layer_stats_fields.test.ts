import { describe, expect, test, vi } from "vitest";
import { readValue } from "../../js/layer_stats_chart/settings";
import type { ChartState, ParameterInfo } from "../../js/layer_stats_chart/state";
import { mountChart, only, testedFrame } from "./chart_frames";
import {
  asked,
  BINS,
  DIVERGENCE,
  enter,
  fieldOf,
  PERMUTATIONS,
  parameter,
  TARGET,
  TRIM,
  type,
} from "./chart_statistics";
import { press } from "./fake_host";

function mount(more: Partial<ChartState> = {}) {
  const { el, host } = mountChart(more);
  const sent = vi.spyOn(host, "set");
  return { el, host, sent, field: (name: string) => fieldOf(el, name) };
}

describe("a field", () => {
  const divergence = { metric: asked(DIVERGENCE), frame: testedFrame() };

  test("is sent by Enter, with the other parameters as they were", () => {
    const { host, field } = mount(divergence);
    enter(field("bins"), "50");
    expect(host.state.metric.parameters).toEqual({ bins: 50, trim: null });
    expect(field("bins").value).toBe("50");
  });

  test("is sent once by Enter, though a browser says “change” as well when it loses the focus", () => {
    const { sent, field } = mount(divergence);
    const bins = field("bins");
    enter(bins, "50");
    bins.dispatchEvent(new Event("change"));
    expect(sent).toHaveBeenCalledTimes(1);
  });

  test("is sent when it is left", () => {
    const { host, field } = mount(divergence);
    type(field("trim"), "0,25");
    field("trim").dispatchEvent(new Event("change"));
    expect(host.state.metric.parameters).toEqual({ bins: 30, trim: 0.25 });
  });

  test("leaves the quantity that is looked at", () => {
    const { host, field } = mount({ ...divergence, quantity: "difference" });
    enter(field("bins"), "50");
    expect(host.state.quantity).toBe("difference");
  });

  test("with the value that it had sends nothing", () => {
    const { sent, field } = mount(divergence);
    enter(field("bins"), "30");
    expect(sent).not.toHaveBeenCalled();
  });

  test.each([
    ["bins", "1", "Bins is a whole number from 2 to 200."],
    ["bins", "2.5", "Bins is a whole number from 2 to 200."],
    ["bins", "", "Bins is empty."],
    ["trim", "0.7", "Trim is a number from 0 to 0.5."],
  ])("%s = '%s' is refused in words and not sent", (name, text, words) => {
    const { sent, field } = mount(divergence);
    enter(field(name), text);
    expect(field(name).validationMessage).toBe(words);
    expect(field(name).classList.contains("is-wrong")).toBe(true);
    expect(sent).not.toHaveBeenCalled();
    type(field(name), "0.1");
    expect(field(name).validationMessage).toBe("");
  });

  test("that may be empty sends null", () => {
    const { host, field } = mount({ metric: asked(DIVERGENCE, { parameters: { trim: 0.1 } }) });
    expect(field("trim").placeholder).toBe("all");
    enter(field("trim"), "");
    expect(host.state.metric.parameters.trim).toBeNull();
  });

  test("shows a small number whole, with an exponent, and takes it so", () => {
    const epsilon = parameter({ name: "epsilon", label: "ε", kind: "float", min: 1e-9, max: 1 });
    const statistic = { ...DIVERGENCE, parameters: [epsilon], defaults: { epsilon: 1e-6 } };
    const { host, field } = mount({ metrics: [statistic], metric: asked(statistic) });
    expect(field("epsilon").value).toBe("1e-6");
    for (const [typed, value] of [
      ["2.5e-7", 2.5e-7],
      ["1e−8", 1e-8],
      ["0.00001", 1e-5],
      ["5E-4", 5e-4],
    ] as const) {
      enter(field("epsilon"), typed);
      expect(host.state.metric.parameters.epsilon).toBe(value);
    }
    expect(field("epsilon").value).toBe("0.0005");
    enter(field("epsilon"), "1e-12");
    expect(field("epsilon").validationMessage).toBe("ε is a number from 1e-9 to 1.");
  });

  test("Escape brings back what was there, and the complaint is gone", () => {
    const { sent, field, host } = mount({ ...divergence, selected: [1] });
    enter(field("bins"), "1");
    press(field("bins"), "Escape");
    expect(field("bins").value).toBe("30");
    expect(sent).not.toHaveBeenCalled();
    expect(host.state.selected).toEqual([1]);
    expect(field("bins").validationMessage).toBe("");
    expect(field("bins").classList.contains("is-wrong")).toBe(false);
  });

  test("keeps keys that mean something elsewhere", () => {
    const { host, field, el } = mount(divergence);
    for (const key of ["[", "]", "0", "1", "ArrowRight", "ArrowDown"]) {
      press(field("bins"), key);
      press(only(el, '[data-action="metric"]') as HTMLElement, key);
    }
    expect([host.state.layer, host.state.heads]).toEqual([1, []]);
  });

  test("with choices sends the one that is chosen", () => {
    const { host, field } = mount();
    field("order").value = "l1";
    field("order").dispatchEvent(new Event("change"));
    expect(host.state.metric.parameters).toEqual({ order: "l1" });
    expect(field("order").value).toBe("l1");
  });

  test("says what it is for when it is pointed at", () => {
    const help = "How many equal steps.";
    const bins = { ...DIVERGENCE, parameters: [{ ...BINS, help }, TRIM] };
    const { field } = mount({ ...divergence, metrics: [bins] });
    expect(field("bins").closest("label")?.title).toBe(help);
    expect(field("bins").labels?.[0]?.textContent).toBe("Bins");
  });
});

describe("an answer that arrives while a field is in use", () => {
  const divergence = { metric: asked(DIVERGENCE), frame: testedFrame() };

  test("leaves the focus and what is typed", () => {
    const { host, field } = mount(divergence);
    type(field("bins"), "4");
    host.set({ frame: testedFrame({ partial: "2 of 4 layers" }), busy: "computing" });
    expect(document.activeElement).toBe(field("bins"));
    expect(field("bins").value).toBe("4");
  });

  test("does so when it is about the statistic itself, too", () => {
    const { host, field } = mount(divergence);
    enter(field("bins"), "40");
    type(field("trim"), "0.2");
    host.set({
      metric: asked(DIVERGENCE, { parameters: { bins: 40, trim: null }, over: "a stream" }),
    });
    expect(document.activeElement).toBe(field("trim"));
    expect(field("trim").value).toBe("0.2");
  });

  test("does so in a page that is a shadow tree", () => {
    const { el, field } = mount(divergence);
    const page = document.createElement("div");
    document.body.append(page);
    const shadow = page.attachShadow({ mode: "open" });
    shadow.append(el);
    enter(field("bins"), "40");
    expect(shadow.activeElement).toBe(field("bins"));
  });

  test("leaves the field in place that is about to be gone to", () => {
    const { field } = mount(divergence);
    type(field("bins"), "40");
    // So it comes when another field is pressed: a list that has just opened would close again.
    const next = field("trim");
    field("bins").dispatchEvent(new Event("change"));
    expect(next.isConnected).toBe(true);
  });
});

test.each<[ParameterInfo, string, number | string | null]>([
  [BINS, "30", 30],
  [BINS, " 30 ", 30],
  [BINS, "2e1", 20],
  [PERMUTATIONS, "10000", 10_000],
  // The words of a refusal write numbers so; they can be typed so, too.
  [PERMUTATIONS, "1,000", 1000],
  [TRIM, "0.25", 0.25],
  [TRIM, "0,25", 0.25],
  [TRIM, "", null],
  [TRIM, "  ", null],
  [TARGET, " sea", " sea"],
  [TARGET, "1,5", "1,5"],
  [{ ...TARGET, optional: true }, "", null],
])("$1 is read as $2", (parameter, typed, value) => {
  expect(readValue(parameter, typed)).toEqual({ value, problem: "" });
});

test.each<[ParameterInfo, string, string]>([
  [BINS, "many", "Bins is a whole number from 2 to 200."],
  [BINS, "201", "Bins is a whole number from 2 to 200."],
  [BINS, "2.5", "Bins is a whole number from 2 to 200."],
  [BINS, "Infinity", "Bins is a whole number from 2 to 200."],
  [BINS, "", "Bins is empty."],
  [PERMUTATIONS, "10001", "Permutations is a whole number from 1 to 10,000."],
  [TRIM, "-0.1", "Trim is a number from 0 to 0.5."],
  [{ ...TRIM, min: null, max: null }, "x", "Trim is a number."],
  [{ ...TRIM, max: null }, "-1", "Trim is a number from 0."],
  [TARGET, " ", "Token is empty."],
])("$1 is refused: $2", (parameter, typed, problem) => {
  expect(readValue(parameter, typed)).toEqual({ value: null, problem });
});
