import { describe, expect, test } from "vitest";
import { BARS, click, count, detail, heatFrame, mountChart, only } from "./chart_frames";
import { find, press } from "./fake_host";

describe("a heat map", () => {
  test("strikes out the heads that a layer does not have", () => {
    const { el } = mountChart({ frame: heatFrame() });
    expect(only(el, ".gh-chart-absent").getAttribute("d")?.match(/M/g)).toHaveLength(3);
  });

  test("outlines the current layer over its cells", () => {
    const { el } = mountChart({ frame: heatFrame() });
    expect(only(el, "svg.gh-chart").lastElementChild).toBe(only(el, ".gh-chart-outline"));
  });

  test("names its cells for screen readers", () => {
    const { el } = mountChart({ frame: heatFrame(), layer: 3, heads: [1] });
    const cell = only(el, '[data-cell="3:1"]');
    expect(cell.getAttribute("aria-label")).toBe("Layer 3, head 1: 0.6");
    expect(cell.getAttribute("aria-pressed")).toBe("true");
  });

  test("arrows along the layers say the number of the one selected head", () => {
    const { el, host } = mountChart({ frame: heatFrame(), heads: [0] });
    press(find(el, ".gh"), "ArrowRight");
    expect([host.state.layer, host.state.heads]).toEqual([3, [0]]);
    expect(find(el, ".gh-live").textContent).toBe("Layer 3, head 0: 0.3");
  });
});

describe("heads as lines", () => {
  test("lie inside the axis, and the legend names them", () => {
    const { el, choose, legend } = mountChart({ frame: heatFrame(), heads: [0, 1] });
    choose("picture", "lines");
    expect(count(el, ".gh-chart-beyond")).toBe(0);
    expect(legend()).toContain("head 0head 1");
  });

  test("have their colours to themselves", () => {
    const { el, choose } = mountChart({ frame: heatFrame(), heads: [0] });
    choose("picture", "lines");
    const style = (selector: string) => only(el, selector).getAttribute("style");
    expect(style(".gh-chart-series")).not.toBe(style(".gh-chart-head"));
  });
});

test("the chart keeps its width while the next layer's panels are on their way", () => {
  const { el, column } = mountChart({ detail: detail(BARS) });
  expect(count(el, ".is-beside [data-panel]")).toBe(1);
  click(column(3));
  expect(count(el, "[data-panel]")).toBe(0);
  expect(count(el, ".gh-body.is-beside")).toBe(1);
});
