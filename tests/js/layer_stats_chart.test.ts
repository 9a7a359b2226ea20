import { describe, expect, test } from "vitest";
import { numbered, spread } from "../../js/layer_stats_chart/layout";
import {
  chartFrame,
  click,
  count,
  heatFrame,
  lineFrame,
  mountChart,
  NONE,
  only,
  pointAt,
  rows,
  strays,
  testedFrame,
} from "./chart_frames";
import { find, lostBy, pack, press, settle } from "./fake_host";

const PLACE = { series: "MLP", layer: 3 };

describe("going to a layer", () => {
  test("by a click", () => {
    const { host, column } = mountChart();
    click(column(3));
    expect(host.state.layer).toBe(3);
    expect(column(3).getAttribute("aria-pressed")).toBe("true");
  });

  test("not to one without attention of the current kind", () => {
    const { host, column } = mountChart();
    click(column(2));
    expect(host.state.layer).toBe(1);
    expect(column(2).getAttribute("aria-disabled")).toBe("true");
  });

  test("by arrow keys, past layers without attention", () => {
    const { host, el } = mountChart();
    press(find(el, ".gh"), "ArrowRight");
    expect(host.state.layer).toBe(3);
    press(find(el, ".gh"), "ArrowRight");
    expect(host.state.layer).toBe(3);
    press(find(el, ".gh"), "[");
    expect(host.state.layer).toBe(1);
  });

  test("up and down are for pictures of heads: a line chart leaves them to the page", () => {
    const { host, el } = mountChart();
    const event = new KeyboardEvent("keydown", { key: "ArrowDown", cancelable: true });
    find(el, ".gh").dispatchEvent(event);
    expect(event.defaultPrevented).toBe(false);
    expect(host.state.heads).toEqual([]);
  });
});

describe("layers without a block", () => {
  test("break the line: nothing is drawn for them, and the note says so", () => {
    const { el, status } = mountChart();
    const [attention, mlp] = [...el.querySelectorAll(".gh-chart-series")];
    expect(attention?.querySelectorAll(".gh-chart-mark")).toHaveLength(3);
    expect(attention?.querySelectorAll(".gh-chart-mean")).toHaveLength(1);
    expect(attention?.querySelectorAll(".gh-chart-bar")).toHaveLength(1);
    expect(mlp?.querySelectorAll(".gh-chart-mark")).toHaveLength(4);
    expect(strays(el)).toEqual([]);
    expect(status()).toContain("Layer 2 has no attention block.");
  });

  test("say so in the tooltip", () => {
    const { el, column } = mountChart();
    pointAt(column(2));
    expect(find(el, ".gh-tooltip").textContent).toContain("not in this layer");
    expect(column(2).getAttribute("aria-label")).toMatch(/^Layer 2: attention none; MLP 7/);
  });
});

describe("an infinite value", () => {
  const infinite = Number.POSITIVE_INFINITY;
  const frame = testedFrame({
    mean: rows([0.4, infinite, 0.2, 0.15]),
    null_high: rows([0.15, 0.16, infinite, infinite]),
    null_mean: rows([0.1, infinite, 0.1, 0.1]),
    note: "Infinite in layer 1: a bin holds values of one group only.",
  });

  test("is no point, but it is there: readout and note say that it is infinite", () => {
    const { el, column, status } = mountChart({ frame });
    expect(count(el, ".gh-chart-mark")).toBe(3);
    pointAt(column(1));
    expect(find(el, ".gh-tooltip").textContent).toContain("∞");
    expect(find(el, ".gh-tooltip").textContent).not.toContain("not in this layer");
    expect(column(1).getAttribute("aria-label")).toMatch(/^Layer 1: residual ∞/);
    expect(status()).toContain("Infinite in layer 1");
  });

  test("bounds what chance gives at the end of the axis, and is no mean to draw", () => {
    const { el, column } = mountChart({ frame });
    expect(count(el, ".gh-chart-null")).toBe(1);
    expect(count(el, ".gh-chart-null-mean")).toBe(2);
    expect(strays(el)).toEqual([]);
    pointAt(column(3));
    expect(find(el, ".gh-tooltip").textContent).toContain("0.06 – ∞");
  });
});

describe("a token hovered elsewhere", () => {
  const hover = (host: ReturnType<typeof mountChart>["host"], hovered: number | null) => (): void =>
    host.set({ hovered });

  test("leaves every element of the chart and its legend standing, but for its own line", () => {
    const { el, host } = mountChart();
    const [chart, legend] = [only(el, ".gh-chart"), only(el, ".gh-legend")];
    expect(lostBy(chart, hover(host, 1))).toEqual([]);
    expect(count(chart, ".gh-chart-token")).toBe(2);
    const lost = lostBy(chart, hover(host, 0));
    expect(lost.every((one) => one.matches(".gh-chart-token, .gh-chart-token *"))).toBe(true);
    expect(lostBy(legend, hover(host, 1))).toEqual([]);
    host.set({ hovered: null });
    expect(count(chart, ".gh-chart-token")).toBe(0);
  });

  test("leaves a heat map as it is", () => {
    const { el, host } = mountChart({ frame: heatFrame() });
    expect(lostBy(only(el, ".gh-chart"), hover(host, 1))).toEqual([]);
  });

  test("another layer does draw the chart anew", () => {
    const { el, host } = mountChart();
    expect(lostBy(only(el, ".gh-chart"), () => host.set({ layer: 3 })).length).toBeGreaterThan(9);
  });
});

describe("a single token", () => {
  test("is drawn from the frame; what leaves the chart is said", () => {
    const { el, host, status } = mountChart({ hovered: 1 });
    expect(count(el, ".gh-chart-token")).toBe(2);
    expect(count(el, ".gh-chart-beyond")).toBe(1);
    expect(status()).toContain("leaves the chart in layer 0 (up to 50)");
    expect(host.asked).toEqual([]);
  });

  test("below an axis that does not reach down to it, too", () => {
    const tokens = pack([0.2, 0.9, 0.9, 0.9], "float32", [1, 4, 1]);
    const frame = lineFrame([0.9, 0.91, 0.92, 0.93], { tokens, has_tokens: true });
    const { el, status } = mountChart({ hovered: 0, frame });
    expect(count(el, ".gh-chart-beyond")).toBe(1);
    expect(status()).toContain("leaves the chart in layer 0");
  });

  test("is asked for once when the values did not travel with the frame", async () => {
    const { el, host } = mountChart({ frame: chartFrame({ tokens: null }) });
    host.set({ hovered: 1 });
    expect(host.asked).toEqual([{ question: "token", args: { position: 1 } }]);
    await settle();
    expect(count(el, ".gh-chart-token .gh-chart-thin")).toBeGreaterThan(0);
    host.set({ layer: 3 });
    expect(host.asked).toHaveLength(1);
  });

  test("is not asked for where the statistic has no values of tokens", () => {
    const frame = chartFrame({ tokens: null, has_tokens: false });
    const { el, host, status } = mountChart({ frame });
    host.set({ hovered: 1 });
    expect(host.asked).toEqual([]);
    expect(count(el, ".gh-chart-token")).toBe(0);
    expect(status()).not.toContain("dashed");
  });

  test("its failure is said in words", async () => {
    const { host, status } = mountChart({ frame: chartFrame({ tokens: null }) });
    host.ask = () => Promise.reject(new Error("There is no kernel to ask."));
    host.set({ hovered: 1 });
    await settle();
    expect(status()).toContain("There is no kernel to ask.");
  });

  test("has its own column in the tooltip", () => {
    const { el, column } = mountChart({ hovered: 1 });
    pointAt(column(0));
    const cells = [...el.querySelectorAll(".gh-tooltip td")].map((cell) => cell.textContent);
    expect(find(el, ".gh-tooltip").textContent).toContain("whale");
    expect(cells).toEqual(["1", "0.5 – 2", "1", "5", "4 – 6", "50"]);
  });

  test("is promised no dashed lines in a heat map", () => {
    const tokens = pack(new Array(4).fill(0.5), "float32", [1, 4, 1]);
    const { status } = mountChart({ hovered: 0, frame: heatFrame({ tokens, has_tokens: true }) });
    expect(status()).not.toContain("dashed");
  });
});

describe("several quantities", () => {
  test("are a choice that sets the quantity", () => {
    const { host, el, choices, choose } = mountChart({ frame: testedFrame() });
    expect(choices("quantity")).toEqual(["Divergence", "Difference of means"]);
    const pressed = find(el, '[data-action="quantity"] [aria-pressed="true"]');
    expect(pressed.textContent).toBe("Divergence");
    choose("quantity", "difference");
    expect(host.state.quantity).toBe("difference");
  });

  test("one alone is no choice", () => {
    expect(mountChart().choices("quantity")).toEqual([]);
  });
});

describe("before the first frame", () => {
  test("calm words stand where the chart will be, and the controls are there", () => {
    const { el } = mountChart({ frame: {} });
    expect(find(el, ".gh-chart-nothing").textContent).toBe("There is nothing to show yet.");
    expect(find(el, ".gh-chart-nothing").hidden).toBe(false);
    expect(only(el, "svg.gh-chart").hasAttribute("hidden")).toBe(true);
    expect(find(el, '[data-action="metric"]')).toBeInstanceOf(HTMLSelectElement);
    expect(find(el, '[data-parameter="order"]')).toBeInstanceOf(HTMLSelectElement);
    expect(count(el, ".gh-banner")).toBe(0);
  });

  test("keys, pointers and a stack of panels do no harm", () => {
    const { el, host } = mountChart({ frame: {}, detail: { layer: 1, panels: [] } });
    for (const key of ["ArrowRight", "ArrowDown", "Escape"]) press(find(el, ".gh"), key);
    pointAt(only(el, "svg.gh-chart"));
    click(only(el, "svg.gh-chart"));
    expect(host.state.layer).toBe(1);
  });

  test("a busy kernel is said in other words, with a button to cancel", () => {
    const { el, host } = mountChart({ frame: {}, busy: "computing norms: 2 of 30 layers" });
    expect(find(el, ".gh-chart-nothing").textContent).toContain("on their way");
    find(el, '[data-action="cancel"]').click();
    expect(host.stopped).toBe(1);
  });

  test("then the frame arrives", () => {
    const { el, host } = mountChart({ frame: {} });
    host.set({ frame: chartFrame() });
    expect(find(el, ".gh-chart-nothing").hidden).toBe(true);
    expect(only(el, "svg.gh-chart").hasAttribute("hidden")).toBe(false);
    expect(count(el, ".gh-chart-mark")).toBe(7);
    expect(find(el, ".gh-chart-title").textContent).toBe("Size of what each block adds L2 norm");
    expect(find(el, ".gh").dataset.metric).toBe("norm");
  });
});

test("results that stream in say how far they are", () => {
  const frame = lineFrame([1, 2, NONE, NONE], { partial: "2 of 4 layers" });
  const { el, host, status } = mountChart({ frame });
  expect(status()).toContain("So far: 2 of 4 layers.");
  expect(find(el, ".gh").hasAttribute("data-partial")).toBe(true);
  host.set({ frame: lineFrame([1, 2, 3, 4]) });
  expect(status()).not.toContain("So far");
  expect(find(el, ".gh").hasAttribute("data-partial")).toBe(false);
});

test("the help is the statistic's own", () => {
  const { el, host } = mountChart();
  expect(find(el, ".gh-help").textContent).toContain("Each line is the mean over tokens.");
  host.set({ frame: testedFrame({ help: ["Labels are shuffled 1,000 times."] }) });
  expect(find(el, ".gh-help").textContent).toContain("Labels are shuffled 1,000 times.");
  expect(find(el, ".gh-help").textContent).not.toContain("mean over tokens");
});

test("labels at line ends are moved apart", () => {
  const placed = spread([100, 101, 40], 0, 200);
  expect(Math.abs((placed[0] ?? 0) - (placed[1] ?? 0))).toBeGreaterThanOrEqual(15);
  expect(placed[2]).toBe(40);
});

test("of 48 layers a few are numbered, the current one among them", () => {
  const shown = numbered(48, 17, 8);
  expect(shown.has(17)).toBe(true);
  expect(shown.size).toBeLessThan(16);
});

describe("a token that stands far out", () => {
  const outlier = { ...{ position: 0, value: 23_000, median: 30, n_tokens: 1 }, ...PLACE };
  const named = (el: Element): HTMLElement => find(el, '[data-action="outlier"]');

  test("is named with its value, beside the median of its layer", () => {
    const { el } = mountChart({ frame: chartFrame({ outlier }) });
    expect(named(el).textContent).toBe(
      "outlier: token 0 ‘\u2068The\u2069’ 23,000 (MLP, layer 3; median 30)",
    );
  });

  test("is pinned by a click, and let go by another", () => {
    const { el, host, status } = mountChart({ frame: chartFrame({ outlier }) });
    click(named(el));
    expect(host.state.selected).toEqual([0]);
    expect(named(el).getAttribute("aria-pressed")).toBe("true");
    expect(status()).toContain("Token 0 ‘\u2068The\u2069’: dashed lines.");
    click(named(el));
    expect(host.state.selected).toEqual([]);
  });

  test("stands beside how many more do", () => {
    const { el } = mountChart({ frame: chartFrame({ outlier: { ...outlier, n_tokens: 3 } }) });
    expect(named(el).textContent).toContain("median 30); 2 more");
  });

  test("is not spoken of where there is none", () => {
    expect(count(mountChart().el, '[data-action="outlier"]')).toBe(0);
  });
});
