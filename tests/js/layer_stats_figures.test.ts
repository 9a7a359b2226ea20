import { describe, expect, test } from "vitest";
import {
  CURVE,
  click,
  count,
  detail,
  GRID,
  HISTOGRAM,
  mountChart,
  only,
  SCATTER,
  STRETCHES,
  strays,
} from "./chart_frames";
import { find, pack, press as pressOn } from "./fake_host";

/** Parts of a picture take keys as HTML does. */
const press = (element: Element, key: string): void => pressOn(element as HTMLElement, key);

describe("bars and bins that stand for tokens", () => {
  test("a press selects their tokens, another lets them go", () => {
    const { el, host } = mountChart({ detail: detail(STRETCHES) });
    const bars = () => [...el.querySelectorAll("[data-tokens]")];
    expect(bars().map((bar) => bar.getAttribute("aria-label"))).toEqual([
      "first token 1: score 0.5, 3 tokens",
      "first token 4: score 1, 2 tokens",
    ]);
    click(bars()[1] as Element);
    expect(host.state.selected).toEqual([4, 5]);
    expect(bars().map((bar) => bar.getAttribute("aria-pressed"))).toEqual(["false", "true"]);
    click(bars()[1] as Element);
    expect(host.state.selected).toEqual([]);
  });

  test("are one stop for the tab key; arrows go along them and leave the layer", () => {
    const { el, host } = mountChart({ detail: detail(HISTOGRAM, STRETCHES) });
    const bars = () => [...el.querySelectorAll<SVGElement>("[data-tokens]")];
    expect(bars().map((bar) => bar.getAttribute("tabindex"))).toEqual(["0", "-1"]);
    bars()[0]?.focus();
    press(bars()[0] as Element, "ArrowRight");
    expect(document.activeElement).toBe(bars()[1]);
    expect(host.state.layer).toBe(1);
    press(bars()[1] as Element, "Enter");
    expect(host.state.selected).toEqual([4, 5]);
    // Drawn anew, and the focus is still there.
    expect(document.activeElement).toBe(bars()[1]);
  });

  test("a histogram without tokens has nothing to press", () => {
    const { el } = mountChart({ detail: detail(HISTOGRAM) });
    expect(count(el, "[data-tokens]")).toBe(0);
  });

  test("shares have their ticks, as counts have whole ones", () => {
    const shares = { ...HISTOGRAM, values: pack([0.25, 0.5], "float32", [1, 2]), mark: null };
    const { el } = mountChart({ detail: detail(shares) });
    const ticks = [...el.querySelectorAll(".gh-panel .gh-chart-tick")].map((t) => t.textContent);
    expect(ticks).toContain("0.5");
  });
});

describe("a matrix of all pairs", () => {
  const area = (el: Element): SVGElement => only(el, ".gh-panel-pairs") as SVGElement;

  test("outlines the pair that the others are of, and says its value", () => {
    const { el } = mountChart({ detail: detail(GRID) });
    expect(count(el, ".gh-panel-pair")).toBe(1);
    expect(area(el).getAttribute("aria-label")).toContain("positions 3 and 8: 1 bits");
    expect(strays(el)).toEqual([]);
  });

  test("a press on a cell selects the two places, in the order of the text", () => {
    const { el, host } = mountChart({ detail: detail(GRID) });
    area(el).getBoundingClientRect = () => new DOMRect(0, 0, 90, 90);
    area(el).dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 15, clientY: 75 }));
    expect(host.state.selected).toEqual([3, 11]);
    // On the diagonal there is no pair.
    area(el).dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 45, clientY: 45 }));
    expect(host.state.selected).toEqual([3, 11]);
  });

  test("arrow keys go from pair to pair, over the diagonal, and not off the edge", () => {
    const { el, host } = mountChart({ detail: detail({ ...GRID, pair: [1, 0] }) });
    press(area(el), "ArrowRight");
    expect(host.state.selected).toEqual([8, 11]);
    host.set({ selected: [] });
    press(area(el), "ArrowLeft");
    expect(host.state.selected).toEqual([]);
    expect(host.state.layer).toBe(1);
  });

  test("is no button where no other pair can be shown", () => {
    const { el, host } = mountChart({ layer: 3, detail: detail(GRID) });
    Object.assign(host, { can: (question: string) => question !== "pairs" });
    host.set({ layer: 1 });
    expect(area(el).hasAttribute("role")).toBe(false);
    expect(area(el).hasAttribute("tabindex")).toBe(false);
    area(el).dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 1, clientY: 1 }));
    expect(host.state.selected).toEqual([]);
  });
});

describe("other figures of a layer", () => {
  test("a curve has a mark for every number that has a value", () => {
    const { el } = mountChart({ detail: detail(CURVE) });
    expect(count(el, "[data-panel=curve] .gh-chart-mark")).toBe(2);
    expect(find(el, "[data-panel=curve]").textContent).toContain("bins");
    expect(strays(el)).toEqual([]);
  });

  test("points that are left out are crosses, in the legend too", () => {
    const series = [
      { name: "mlp", label: "counted" },
      { name: "trimmed", label: "trimmed (2)" },
    ];
    const { el } = mountChart({ detail: detail({ ...SCATTER, series }) });
    expect(count(el, ".gh-panel-trimmed")).toBe(3);
    expect(count(el, ".gh-panel-point")).toBe(1);
  });

  test("more than three stand under the chart, in rows of equal length", () => {
    const { el, host } = mountChart({ detail: detail(CURVE, CURVE, CURVE) });
    const body = find(el, ".gh-chart-body");
    expect(body.classList.contains("is-beside")).toBe(true);
    host.set({ detail: detail(CURVE, CURVE, CURVE, CURVE) });
    expect(body.classList.contains("is-beside")).toBe(false);
    expect(only(el, ".gh-panel-chart").getAttribute("width")).toBe("392");
  });
});
