import { describe, expect, test } from "vitest";
import { chartData, runs } from "../../js/layer_stats_chart/data";
import { coloursOf } from "../../js/layer_stats_chart/marks";
import { allowsLog, formatValue, linearScale, valueScale } from "../../js/layer_stats_chart/scales";
import type { ChartFrame } from "../../js/layer_stats_chart/state";
import { luminance, type Rgb } from "../../js/shared/palette";
import {
  chartFrame,
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
import { find } from "./fake_host";

const labels = (frame: ChartFrame, scale: "linear" | "log" = "linear"): string[] =>
  valueScale(chartData(frame), scale).ticks.map(({ label }) => label);

describe("the linear axis", () => {
  test("holds means and intervals and has round ticks", () => {
    const scale = valueScale(chartData(chartFrame()), "linear");
    expect(labels(chartFrame())).toEqual(["0", "2", "4", "6", "8", "10"]);
    expect(scale.share(9)).toBeCloseTo(0.9);
  });

  test("holds the null range, too", () => {
    const far = testedFrame({ null_high: rows([0.9, 0.9, 0.9, 0.9]) });
    expect(valueScale(chartData(far), "linear").max).toBeGreaterThanOrEqual(0.9);
  });

  test("negative values get a line at zero and a true minus", () => {
    const { el } = mountChart({ frame: lineFrame([-2, 1, -1, 2]) });
    expect(labels(lineFrame([-2, 1, -1, 2]))).toEqual(["−2", "−1", "0", "1", "2"]);
    expect(count(el, ".gh-chart-grid.is-zero")).toBe(1);
    expect(el.querySelectorAll(".gh-chart-tick")[0]?.textContent).toBe("−2");
    expect(only(el, '[data-layer="0"]').getAttribute("aria-label")).toBe("Layer 0: residual −2");
  });

  test("where nothing is negative, zero is a line like the others", () => {
    expect(count(mountChart().el, ".gh-chart-grid.is-zero")).toBe(0);
  });

  test.each([
    ["one value", [5, 5, 5, 5]],
    ["only zeros", [0, 0, 0, 0]],
    ["only negative values", [-5, -4, -3, -1]],
    ["no value at all", [NONE, NONE, NONE, NONE]],
  ])("%s can be drawn", (_, mean) => {
    const { el } = mountChart({ frame: lineFrame(mean) });
    expect(strays(el)).toEqual([]);
    expect(count(el, ".gh-chart-tick")).toBeGreaterThanOrEqual(2);
  });

  test.each([
    [[0, 1]],
    [[0.997, 0.999]],
    [[-0.02, 0.01]],
    [[1234, 1239]],
    [[0, 2e-5]],
    [[1.0e-4, 1.04e-4]],
    [[3_000_000, 3_010_000]],
  ])("no two ticks of %s read the same", (values) => {
    const words = linearScale(values).ticks.map(({ label }) => label);
    expect(new Set(words).size).toBe(words.length);
  });
});

describe("the logarithmic axis", () => {
  test("can be chosen only where every value is positive, and keeps its place elsewhere", () => {
    const offered = (frame: ChartFrame): boolean => {
      const { choices, el } = mountChart({ frame });
      expect(choices("scale")).toEqual(["Linear", "Log"]);
      const log = only(el, '[data-action="scale"] [data-value="log"]');
      return log.getAttribute("aria-disabled") !== "true";
    };
    expect(offered(chartFrame())).toBe(true);
    expect(offered(lineFrame([1, 0, 2, 3]))).toBe(false);
    expect(offered(lineFrame([1, -1, 2, 3]))).toBe(false);
    expect(offered(heatFrame())).toBe(false);
    expect(offered(testedFrame({ null_low: rows([0, 0, 0, 0]) }))).toBe(false);
  });

  test("is what the statistic is best seen on, until another is chosen", () => {
    const pressed = (el: Element): string =>
      only(el, '[data-action="scale"] [aria-pressed="true"]').textContent ?? "";
    const { el, host, choose } = mountChart({ scale: "auto", frame: chartFrame({ scale: "log" }) });
    expect(pressed(el)).toBe("Log");
    expect([...el.querySelectorAll(".gh-chart-tick")].map((one) => one.textContent)).not.toContain(
      "0",
    );
    choose("scale", "linear");
    expect([pressed(el), host.state.scale]).toEqual(["Linear", "linear"]);
    expect(pressed(mountChart({ scale: "auto", frame: chartFrame() }).el)).toBe("Linear");
  });

  test("leaves the plot where it was", () => {
    const { el, choose } = mountChart({
      frame: chartFrame({ mean: rows([1e4, 2, 3, 4], [5, 6, 7, 8]) }),
    });
    const places = (): (string | null)[] =>
      [...el.querySelectorAll(".gh-chart-column")].map((one) => one.getAttribute("x"));
    const before = places();
    choose("scale", "log");
    expect(places()).toEqual(before);
  });

  test("is set by its button, and not used where it cannot be", () => {
    const { host, choose } = mountChart();
    choose("scale", "log");
    expect(host.state.scale).toBe("log");
    host.set({ frame: lineFrame([-2, 1, -1, 2]) });
    expect(allowsLog(chartData(lineFrame([-2, 1, -1, 2])))).toBe(false);
    expect(only(document, ".gh-chart-tick").textContent).toBe("−2");
  });

  test("has ticks for data close together and over decades", () => {
    expect(labels(lineFrame([100, 101, 102, 104]), "log").length).toBeGreaterThanOrEqual(3);
    expect(labels(lineFrame([2, 3, 5, 8]), "log")).toEqual(["2", "3", "4", "5", "6", "7", "8"]);
    expect(labels(lineFrame([0.01, 0.1, 3, 50]), "log")).toEqual(["0.01", "0.1", "1", "10"]);
    const many = labels(lineFrame([1e-20, 1e-5, 1, 1e20]), "log");
    expect(many.length).toBeGreaterThanOrEqual(3);
    expect(many.length).toBeLessThanOrEqual(12);
  });

  test("holds everything that is drawn", () => {
    const log = valueScale(chartData(chartFrame()), "log");
    expect(log.share(0)).toBeNaN();
    expect(log.share(0.5)).toBeGreaterThanOrEqual(0);
    expect(log.share(9)).toBeLessThanOrEqual(1);
  });
});

test.each([
  [0, "0"],
  [-0.25, "−0.25"],
  [1 / 3, "0.333"],
  [-0.00002, "−2.0e−5"],
  [0.00002, "2.0e−5"],
  [12345.6, "12,346"],
  [-1234, "−1,234"],
  [NONE, "–"],
])("%d is written %s", (value, words) => {
  expect(formatValue(value)).toBe(words);
});

test("a line never bridges a layer without a value", () => {
  expect(runs([NONE, 1, 2, NONE, 3])).toEqual([[1, 2], [4]]);
});

describe("tests of significance", () => {
  test("marks are filled where it is significant, open where it is not", () => {
    const { el, legend } = mountChart({ frame: testedFrame() });
    const marks = [...el.querySelectorAll(".gh-chart-mark")];
    expect(marks.slice(0, 3).map((mark) => mark.classList.contains("is-open"))).toEqual([
      ...[false, true, false],
    ]);
    expect(legend()).toContain("filled: p < 0.05 after Benjamini-Hochberg");
  });

  test("a layer that was not tested does not look significant, and says so", () => {
    const { el, column } = mountChart({ frame: testedFrame() });
    const marks = [...el.querySelectorAll(".gh-chart-mark")].map((mark) => mark.outerHTML);
    const look = (mark = ""): string => mark.replace(/ transform="[^"]*"/, "");
    expect(look(marks[3])).not.toBe(look(marks[0]));
    expect(column(3).getAttribute("aria-label")).toContain("not tested");
  });

  test("the words stand in labels and in the tooltip", () => {
    const { el, column } = mountChart({ frame: testedFrame() });
    expect(column(0).getAttribute("aria-label")).toBe("Layer 0: residual 0.4, significant");
    expect(column(1).getAttribute("aria-label")).toBe("Layer 1: residual 0.1, not significant");
    const cells = (layer: number): (string | null)[] => {
      pointAt(column(layer));
      return [...el.querySelectorAll(".gh-tooltip td")].map((cell) => cell.textContent);
    };
    expect(cells(0)).toEqual(["0.4", "0.05 – 0.15", "significant"]);
    expect(cells(1)).toEqual(["0.1", "0.04 – 0.16", "not significant"]);
  });

  test("without a test all marks are filled, and nothing is said of significance", () => {
    const { el, column } = mountChart();
    expect(count(el, ".gh-chart-mark.is-open")).toBe(0);
    expect(column(0).getAttribute("aria-label")).not.toMatch(/significant|tested/);
  });
});

describe("what chance alone gives", () => {
  test("is a hatched band of its own, named in the legend", () => {
    const { el, legend } = mountChart({ frame: testedFrame() });
    const pattern = only(el, "pattern").id;
    expect(only(el, ".gh-chart-null").getAttribute("fill")).toBe(`url(#${pattern})`);
    expect(count(el, ".gh-chart-null-mean")).toBe(1);
    expect(count(el, ".gh-chart-band")).toBe(0);
    expect(legend()).toContain("hatched: 1,000 permutations: 2.5 % to 97.5 %");
  });

  test("two charts on a page do not share their hatching", () => {
    const first = only(mountChart({ frame: testedFrame() }).el, "pattern").id;
    expect(only(mountChart({ frame: testedFrame() }).el, "pattern").id).not.toBe(first);
  });

  test("a layer between layers without it has a band, too", () => {
    const alone = [NONE, 0.1, NONE, NONE];
    const frame = testedFrame({ null_low: rows(alone), null_mean: rows(alone) });
    const { el } = mountChart({ frame: { ...frame, null_high: rows([NONE, 0.2, NONE, NONE]) } });
    expect(count(el, ".gh-chart-null")).toBe(1);
    expect(strays(el)).toEqual([]);
  });

  test("a range without a mean is drawn all the same", () => {
    const { el } = mountChart({ frame: testedFrame({ null_mean: null }) });
    expect(count(el, ".gh-chart-null")).toBe(1);
  });
});

describe("intervals", () => {
  test("are bands, and the legend says of what", () => {
    const { el, legend } = mountChart();
    expect(count(el, ".gh-chart-band")).toBe(2);
    expect(legend()).toContain("line: median; band: quartiles over 2 tokens");
  });

  test("a statistic without one draws no band and names none", () => {
    const { el, legend, column } = mountChart({ frame: lineFrame([1, 2, NONE, 3]) });
    expect(count(el, ".gh-chart-band, .gh-chart-bar")).toBe(0);
    expect(legend()).not.toContain("band");
    expect(column(0).getAttribute("aria-label")).toBe("Layer 0: residual 1");
  });

  test("a layer that alone has none does no harm to the others", () => {
    const [low, high] = [rows([0, 1, NONE, 3]), rows([2, 3, NONE, 5])];
    const { el } = mountChart({ frame: lineFrame([1, 2, 3, 4], { low, high, interval: "range" }) });
    expect(strays(el)).toEqual([]);
  });
});

test("six series have colours of their own, further ones ink, and a block the same one in every statistic", () => {
  const named = (...names: string[]) => names.map((name) => ({ name, label: name }));
  const many = named("one", "mlp", "two", "attention", "residual", "three", "cross", "correct");
  const colours = coloursOf(many, "light");
  expect(new Set(many.map(({ name }) => colours(name))).size).toBe(7);
  expect(coloursOf(named("mlp"), "light")("mlp")).toBe(colours("mlp"));
});

test("lines of one statistic with ever more bins are told apart, and named at their ends", () => {
  const series = [10, 15, 20, 25, 30, 35, 40, 45, 50].map((n) => ({
    name: `bins ${n}`,
    label: `${n} bins`,
  }));
  for (const theme of ["light", "dark"] as const) {
    const colours = series.map(({ name }) => coloursOf(series, theme)(name));
    expect(new Set(colours).size).toBe(9);
    const paper = luminance(theme === "light" ? [255, 255, 255] : [17, 17, 17]);
    for (const colour of colours) {
      const own = luminance((colour.match(/[\d.]+/g) ?? []).map(Number) as unknown as Rgb);
      const [low = 0, high = 0] = [own, paper].sort((a, b) => a - b);
      expect((high + 0.05) / (low + 0.05)).toBeGreaterThanOrEqual(4.5);
    }
  }
  const mean = rows(...series.map((_, i) => [i, i, i, i]));
  const nothing = rows(...series.map(() => [NONE, NONE, NONE, NONE]));
  const { el } = mountChart({
    frame: lineFrame([], { series, mean, low: nothing, high: nothing }),
  });
  const labels = [...el.querySelectorAll(".gh-chart-label")];
  expect(labels.map(({ textContent }) => textContent)).toEqual(series.map(({ label }) => label));
});

test("more lines than can be named at their ends are named in the legend", () => {
  const series = Array.from({ length: 12 }, (_, i) => ({ name: `s${i}`, label: `line ${i}` }));
  const all = rows(...series.map((_, i) => [i, i, i, i]));
  const nothing = rows(...series.map(() => [NONE, NONE, NONE, NONE]));
  const { el } = mountChart({
    frame: lineFrame([], { series, mean: all, low: nothing, high: nothing }),
  });
  expect(count(el, ".gh-chart-label")).toBe(0);
  expect(find(el, ".gh-legend").textContent).toContain("line 11");
});
