import { beforeEach, describe, expect, test, vi } from "vitest";
import { finderData, shownHeads } from "../../js/head_finder/data";
import type { FinderState, HeadsFrame, MetricFrame, Typical } from "../../js/head_finder/state";
import { typicalData } from "../../js/head_finder/typical_rows";
import { HeadFinderView } from "../../js/head_finder/view";
import { common, FakeHost, find, pack, press, selfAxes } from "./fake_host";

const NONE = Number.NaN;

/** Two layers of two heads; what it is over the texts, and where that may lie. */
function metric(name: string, label: string, mean: number[], more: Partial<MetricFrame> = {}) {
  const of = (values: number[]) => pack(values, "float32", [2, 2]);
  return {
    ...{ name, label, unit: "weight", max: 1, note: "" },
    values: of(mean),
    interval: {
      low: of(mean.map((value) => value - 0.05)),
      high: of(mean.map((value) => value + 0.1)),
      n: pack([7, 7, 7, 6], "uint32", [2, 2]),
    },
    ...more,
  };
}

function atlasFrame(more: Partial<HeadsFrame> = {}): HeadsFrame {
  return {
    kind: "heads",
    key: { kind: "self", unit: "token" },
    layers: pack([0, 1], "int32"),
    n_heads: pack([2, 2], "uint16"),
    ...{ rows: 0, columns: 0, per_pixel: 1, scale_words: "", sinks_words: "", note: "" },
    patterns: pack([], "uint8", [2, 2, 0, 0]),
    sinks: pack([], "uint8", [2, 2, 0]),
    scale: pack([NONE, NONE, NONE, NONE], "float32", [2, 2]),
    to_sinks: pack([NONE, NONE, NONE, NONE], "float32", [2, 2]),
    metrics: [
      metric("sink", "To first token", [0.5, 0.2, 0.4, 0.3]),
      // The highest mean has the widest interval.
      metric("induction", "Induction", [0.1, 0.6, 0.5, 0.2], {
        interval: {
          low: pack([0.08, 0.2, 0.45, 0.1], "float32", [2, 2]),
          high: pack([0.12, 0.9, 0.55, 0.3], "float32", [2, 2]),
          n: pack([7, 7, 7, 6], "uint32", [2, 2]),
        },
      }),
    ],
    corpus: {
      words: "8 texts, 95 % bootstrap intervals",
      texts: 8,
      note: "1 text was left out: …",
    },
    ...more,
  };
}

const HOSTILE = "<img src=x onerror=alert(1)>";

/** Three buckets; two rows in the highest, none in the middle. */
function typical(more: Partial<Typical> = {}): Typical {
  const lines = [
    ["a", " whale", HOSTILE, " a", " whale"],
    [" sea", " king"],
    [" one", " two", " three", " four", " five", " six", " seven", " eight"],
  ];
  const weights = [
    [0, 0.02, 0.95, 0.02, 0.01],
    [0.1, 0.7],
    [0.001, 0.001, 0.001, 0, 0.001, 0, 0.2, 0.7],
  ];
  return {
    key: { kind: "self", layer: 0, head: 1, metric: "induction" },
    edges: pack([0, 0.5, 0.9, Number.POSITIVE_INFINITY], "float32"),
    rows: pack([1204, 0, 40], "uint32"),
    places: pack([2, 3, 0, 5, 2, 5, 1, 0, 2, 2, 7, 7, 0, 8, 0], "int32", [3, 5]),
    numbers: pack([0.95, 0, 0.91, 0.2, 0.1, 0.096], "float32", [3, 2]),
    queries: [" a", " king", " eight"],
    tokens: lines.flat(),
    weights: pack(weights.flat(), "float32"),
    ...more,
  };
}

function mount(more: Partial<FinderState> = {}, width = 1200) {
  const state: FinderState = {
    ...common(selfAxes(["a", "b"]), 2),
    ...{ mode: "metric", metric: "induction", second_metric: "sink", sort: "layer", by: "mean" },
    ...{ more_metrics: [], at_least: null, at_most: null, only_layers: [], only_heads: [] },
    ...{ layer: 0, heads: [1], axes: {}, frame: atlasFrame(), typical: typical() },
    ...more,
  };
  const host = new FakeHost<FinderState>(state, () => null);
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(width);
  host.view = new HeadFinderView(el, host);
  return { host, el, status: find(el, ".gh-status") };
}

const texts = (el: Element, selector: string): string[] =>
  [...el.querySelectorAll(selector)].map((one) => one.textContent ?? "");

beforeEach(() => {
  document.body.replaceChildren();
  vi.restoreAllMocks();
  HTMLCanvasElement.prototype.getContext = () => null;
});

describe("an atlas alone", () => {
  test("has its texts in the title, metrics and a scatter, and no patterns or units", () => {
    const { el } = mount();
    expect(find(el, ".hf-corpus").textContent).toBe("8 texts, 95 % bootstrap intervals");
    expect(texts(el, '[data-action="mode"] button')).toEqual(["Metric", "Scatter"]);
    expect(find(el, '[data-action="unit"]').hidden).toBe(true);
    expect(find(el, ".hf-card-frame").hidden).toBe(true);
  });

  test("says a head's means with their intervals, and of how many texts", () => {
    const { el, host, status } = mount();
    press(find(el, ".hf-grid"), "ArrowRight");
    host.set({ heads: [0] });
    expect(find(el, '[data-metric="induction"]').textContent).toContain("[");
    expect(find(el, ".hf-card-scale").textContent).toBe("Induction: mean over 7 of 8 texts.");
    expect(find(el, ".hf-strongest").textContent).toContain("0.60[0.20, 0.90]");
    expect(status.textContent).not.toContain("sinks");
  });

  test("tells what was left out of it", () => {
    const { el, host } = mount({ heads: [] });
    host.set({ heads: [] });
    expect(find(el, ".gh-status").textContent).toContain("1 text was left out");
  });

  test("of one text has no intervals to show", () => {
    const interval = {
      low: pack([NONE, NONE, NONE, NONE], "float32", [2, 2]),
      high: pack([NONE, NONE, NONE, NONE], "float32", [2, 2]),
      n: pack([1, 1, 1, 1], "uint32", [2, 2]),
    };
    const only = metric("induction", "Induction", [0.1, 0.6, 0.5, 0.2], { interval });
    const { el } = mount({ frame: atlasFrame({ metrics: [only] }) });
    expect(find(el, '[data-metric="induction"]').textContent).toBe("0.60");
  });
});

describe("heads", () => {
  const order = (by: FinderState["by"], more: Partial<FinderState> = {}) =>
    shownHeads(finderData(atlasFrame()), {
      ...{ metric: "induction", sort: "highest", at_least: null, at_most: null },
      ...{ only_layers: [], only_heads: [], by, ...more },
    }).map(({ layer, head }) => `${layer}.${head}`);

  test("are sorted by the mean, or by an end of the interval", () => {
    expect(order("mean")).toEqual(["0.1", "1.0", "1.1", "0.0"]);
    expect(order("low")[0]).toBe("1.0");
    expect(order("high")).toEqual(["0.1", "1.0", "1.1", "0.0"]);
  });

  test("and filtered by it", () => {
    expect(order("low", { at_least: 0.3 })).toEqual(["1.0"]);
    expect(order("high", { at_least: 0.3 })).toEqual(["0.1", "1.0", "1.1"]);
  });

  test("offers the numbers to sort by, where there are intervals", () => {
    const { el, host, status } = mount({ at_least: 0.3 });
    const by = find(el, '[data-action="by"]') as HTMLSelectElement;
    by.value = "low";
    by.dispatchEvent(new Event("change"));
    expect(host.state.by).toBe("low");
    expect(status.textContent).toContain("1 of 4 heads shown, induction (low end) at least 0.30.");
    const { corpus: _, ...bare } = atlasFrame();
    host.set({ frame: bare });
    expect(find(el, '[data-action="by"]').parentElement?.hidden).toBe(true);
    expect(find(el, ".hf-typical").hidden).toBe(true);
  });
});

describe("the scatter", () => {
  test("has the interval of both numbers at every head, over it that of those picked", () => {
    const { el } = mount({ mode: "scatter" });
    const [all, ours] = [...el.querySelectorAll(".hf-interval")];
    expect(all?.getAttribute("d")?.match(/M/g)).toHaveLength(8);
    expect(ours?.getAttribute("d")?.match(/M/g)).toHaveLength(2);
  });
});

describe("a head's rows", () => {
  test("are counted by bucket, the highest first, and lie below their bucket", () => {
    const { el } = mount();
    expect(find(el, ".hf-typical-title").textContent).toBe("1,244 rows of layer 0, head 1");
    expect(texts(el, ".hf-bucket-name")).toEqual(["≥ 0.9", "0.5–0.9", "0–0.5"]);
    expect(texts(el, ".hf-bucket-count")).toEqual(["40", "0", "1,204"]);
    expect(texts(el, ".hf-rows-name")).toEqual(["Induction ≥ 0.9", "Induction 0–0.5"]);
    expect(texts(el, ".hf-row-value")).toEqual(["0.95", "0.91", "0.10"]);
  });

  test("mark the token that looks, shade those looked at, and say what is outside", () => {
    const { el } = mount();
    const [first, second] = [...el.querySelectorAll(".hf-row")];
    expect(first?.querySelector(".hf-query")?.textContent).toBe("a");
    expect(texts(first as Element, ".is-coloured")).toEqual(["whale", HOSTILE, "a", "whale"]);
    expect(first?.querySelector(".hf-row-words")?.textContent).toContain("looks most at");
    expect(second?.querySelector(".hf-row-numbers")?.textContent).toContain("20.0 % outside");
  });

  test("are text, whatever they are of", () => {
    const { el } = mount();
    expect(el.querySelector(".hf-rows img")).toBeNull();
    expect(find(el, ".hf-rows").textContent).toContain(HOSTILE);
  });

  test("begin a little before what is looked at: the rest is outside, too", () => {
    const [, , low] = typicalData(typical()).buckets;
    const [row] = low?.rows ?? [];
    expect(row?.tokens.map(({ text }) => text)).toEqual([
      " three",
      " four",
      " five",
      " six",
      " seven",
      " eight",
    ]);
    expect(row?.start).toBe(2);
    expect(row?.outside).toBeCloseTo(0.098, 5);
  });

  test("of one bucket stand alone when it is clicked, of all when it is clicked again", () => {
    const { el, host } = mount();
    const bucket = () => find(el, '[data-bucket="0"]') as HTMLButtonElement;
    bucket().click();
    expect(texts(el, ".hf-rows-name")).toEqual(["Induction 0–0.5"]);
    expect(document.activeElement).toBe(bucket());
    // Another head of the same metric keeps what is looked at.
    host.set({ typical: typical({ key: { ...typical().key, head: 0 } }), heads: [0] });
    expect(texts(el, ".hf-rows-name")).toEqual(["Induction 0–0.5"]);
    bucket().click();
    expect(texts(el, ".hf-rows-name")).toHaveLength(2);
  });

  test("are reached by keys: buckets are one stop, arrows go among them", () => {
    const { el } = mount();
    const [first, second] = [...el.querySelectorAll<HTMLButtonElement>(".hf-bucket")];
    expect([first?.tabIndex, second?.tabIndex]).toEqual([0, -1]);
    first?.focus();
    press(first as HTMLElement, "ArrowDown");
    expect(document.activeElement).toBe(second);
    expect(find(el, ".hf-rows").tabIndex).toBe(0);
  });

  test("of cross attention begin with the token that looks, which is of another text", () => {
    const { el } = mount({ typical: typical({ key: { ...typical().key, kind: "cross" } }) });
    const [first] = [...el.querySelectorAll(".hf-row-text")];
    expect(first?.textContent?.startsWith("a → a whale")).toBe(true);
    expect(first?.querySelectorAll(".hf-query")).toHaveLength(1);
  });

  test("stand apart where tokens have no spaces of their own", () => {
    const tokens = ["the", "cat", "sat"];
    const { el } = mount({
      typical: typical({
        ...{ tokens, weights: pack([0, 0.5, 0.5], "float32"), queries: ["sat"] },
        ...{ places: pack([0, 2, 0, 3, 2], "int32", [1, 5]) },
        numbers: pack([0.95, 0], "float32", [1, 2]),
      }),
    });
    expect(find(el, ".hf-row-text").textContent).toBe("the cat sat");
  });

  test("are said to be missing where they are of no metric of the atlas", () => {
    const { el } = mount({ typical: {} });
    expect(find(el, ".hf-typical").classList).toContain("is-empty");
    expect(find(el, ".hf-typical .hf-card-why").textContent).toContain("No rows");
  });
});
