import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ChartState } from "../../js/layer_stats_chart/state";
import { svg } from "../../js/shared/dom";
import { asSvg, type Sheet } from "../../js/shared/save";
import {
  BARS,
  chartFrame,
  count,
  detail,
  HISTOGRAM,
  heatFrame,
  mountChart,
  only,
  testedFrame,
} from "./chart_frames";
import { find, settle } from "./fake_host";

function sheet(more: Partial<Sheet> = {}): Sheet {
  const picture = svg("svg", { width: 400, height: 200 }, svg("circle", { cx: 1, cy: 1, r: 1 }));
  document.body.replaceChildren(picture);
  return {
    ...{ title: "Norms", unit: "L2 norm", words: ["line: mean"], pictures: [] },
    ...{ paper: "rgb(255, 255, 255)", ink: "rgb(0, 0, 0)", font: "Inter, sans-serif" },
    ...more,
    ...(more.pictures ? {} : { pictures: [{ picture, title: "" }] }),
  };
}

/** As a program reads it that knows nothing of the page. */
function read(text: string): Element {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  expect(root.querySelector("parsererror")).toBeNull();
  expect(root.tagName).toBe("svg");
  return root;
}

const words = (root: Element): string[] =>
  [...root.querySelectorAll("text")].map((text) => text.textContent ?? "");

afterEach(() => void vi.restoreAllMocks());

describe("a sheet", () => {
  test("has a size, paper, a title and the words below", () => {
    const root = read(asSvg(sheet()));
    const [width, height] = [root.getAttribute("width"), root.getAttribute("height")];
    expect(root.getAttribute("viewBox")).toBe(`0 0 ${width} ${height}`);
    expect(Number(height)).toBeGreaterThan(250);
    expect(root.firstElementChild?.getAttribute("fill")).toBe("rgb(255, 255, 255)");
    expect(root.firstElementChild?.getAttribute("width")).toBe(width);
    expect(words(root)).toEqual(["Norms", "L2 norm", "line: mean"]);
    expect(only(root, "text").getAttribute("font-family")).toBe("Inter, sans-serif");
  });

  test("its title is text whatever it says", () => {
    const title = `</text><script>alert(1)</script> & "so" on`;
    const root = read(asSvg(sheet({ title })));
    expect(words(root)).toContain(title);
    expect(count(root, "script")).toBe(0);
  });

  test("a control character in a title does not spoil the file", () => {
    read(asSvg(sheet({ title: "What follows ‘\u001b’" })));
  });

  test("a name over a line keeps its halo behind its letters", () => {
    // jsdom does not know of the property.
    const look: Record<string, string> = { stroke: "rgb(255, 255, 255)", "paint-order": "stroke" };
    const style = { getPropertyValue: (name: string) => look[name] ?? "" } as CSSStyleDeclaration;
    vi.spyOn(window, "getComputedStyle").mockReturnValue(style);
    const circle = only(read(asSvg(sheet())), "circle");
    expect(circle.getAttribute("stroke")).toBe("rgb(255, 255, 255)");
    expect(circle.getAttribute("paint-order")).toBe("stroke");
  });

  test("long words go on in the next line, none lost", () => {
    const long = "band: quartiles over tokens that were predicted, ".repeat(6).trim();
    const lines = words(read(asSvg(sheet({ words: [long] })))).slice(2);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join(" ")).toBe(long);
  });

  test("pictures stand side by side under their own titles", () => {
    const [a, b] = [1, 2].map((height) => svg("svg", { width: 300, height: 100 * height }));
    document.body.replaceChildren(a as Element, b as Element);
    const pictures = [a, b].map((picture, i) => ({
      ...{ picture: picture as SVGElement, title: `part ${i}` },
    }));
    const root = read(asSvg(sheet({ pictures })));
    const [first, second] = [...root.querySelectorAll("svg")].map((one) => {
      return [Number(one.getAttribute("x")), Number(one.getAttribute("y"))];
    });
    expect(second?.[0]).toBeGreaterThanOrEqual((first?.[0] ?? 0) + 300);
    expect(second?.[1]).toBe(first?.[1]);
    expect(Number(root.getAttribute("width"))).toBeGreaterThanOrEqual(600);
    expect(Number(root.getAttribute("height"))).toBeGreaterThanOrEqual(200);
    expect(words(root)).toEqual(expect.arrayContaining(["part 0", "part 1"]));
  });
});

describe("what is saved of a chart", () => {
  let saved: { name: string; content: Blob }[] = [];

  beforeEach(() => {
    saved = [];
    const look = document.createElement("style");
    look.textContent = `
      .gh-chart-mark { fill: rgb(1, 2, 3); stroke-width: 1.5; }
      .gh-chart-tick { font-size: 12px; text-anchor: end; }`;
    document.head.replaceChildren(look);
    let content = new Blob();
    Object.assign(URL, {
      createObjectURL: (blob: Blob) => {
        content = blob;
        return "blob:picture";
      },
      revokeObjectURL: () => {},
    });
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
      this: HTMLAnchorElement,
    ) {
      saved.push({ name: this.download, content });
    });
  });

  afterEach(() => document.head.replaceChildren());

  const text = (blob: Blob): Promise<string> =>
    new Promise((resolve) => {
      const reader = new FileReader();
      reader.addEventListener("load", () => resolve(String(reader.result)));
      reader.readAsText(blob);
    });

  async function save(more: Partial<ChartState>): Promise<{ file: string; root: Element }> {
    const { el } = mountChart(more);
    find(el, '[data-action="save-svg"]').click();
    await settle();
    const [first] = saved;
    if (!first) throw new Error("nothing was saved");
    const file = await text(first.content);
    return { file, root: read(file) };
  }

  test("refers to nothing outside itself, and asks for no style sheet", async () => {
    const { file, root } = await save({ frame: testedFrame(), detail: detail(HISTOGRAM, BARS) });
    expect(count(root, "[class], [style], [href], [src], image, script, foreignObject")).toBe(0);
    expect(file).not.toContain("var(");
    expect(file.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|\/\//);
    for (const [, id] of file.matchAll(/url\(([^)]*)\)/g)) {
      expect(root.querySelector(id ?? "none")?.tagName).toBe("pattern");
    }
  });

  test("keeps the look of the page and the hatching of the null range", async () => {
    const { file, root } = await save({ frame: testedFrame() });
    const marks = root.querySelectorAll('[fill="rgb(1, 2, 3)"][stroke-width="1.5"]');
    expect(marks).toHaveLength(4);
    expect(count(root, '[text-anchor="end"][font-size="12px"]')).toBeGreaterThan(2);
    expect(count(root, "pattern path")).toBe(1);
    expect(file).toMatch(/fill="url\(#gh-chart-hatch-\d+\)"/);
  });

  test("leaves out what is only there to be pressed", async () => {
    const { root } = await save({ detail: detail(BARS) });
    expect(count(root, '[role="button"], button, [aria-label], [data-layer], [data-head]')).toBe(0);
    // Paper, the current layer's column, two bars: none of the columns to press.
    expect(count(root, "rect")).toBe(4);
  });

  test("has title, unit, model, series, legend and note, and the panels beside", async () => {
    const { root } = await save({ frame: chartFrame(), detail: detail(HISTOGRAM) });
    const all = words(root).join(" ");
    expect(all).toContain("Size of what each block adds");
    expect(all).toContain("L2 norm — Toy · 3 layers");
    expect(all).toContain("Series: attention, MLP.");
    expect(all).toContain("line: median; band: quartiles over 2 tokens");
    expect(all).toContain("Layer 2 has no attention block.");
    expect(all).toContain(HISTOGRAM.title);
    expect(count(root, "svg")).toBe(2);
  });

  test("has what a test came to, in the words of the page", async () => {
    const { root } = await save({ frame: testedFrame() });
    const all = words(root).join(" ");
    expect(all).toContain("filled: p < 0.05 after Benjamini-Hochberg");
    expect(all).toContain("hatched: 1,000 permutations");
  });

  test("a heat map keeps its cells and the scale that its colours mean", async () => {
    const { root } = await save({ frame: heatFrame() });
    expect(count(root, "rect")).toBe(7);
    const all = words(root).join(" ");
    expect(all).toContain("induction score");
    expect(all).toContain("0.9");
  });

  test("results that are not complete say so on the sheet, too", async () => {
    const { root } = await save({ frame: chartFrame({ partial: "2 of 4 layers" }) });
    expect(words(root).join(" ")).toContain("2 of 4 layers");
  });

  test("is called after its statistic", async () => {
    await save({ frame: testedFrame() });
    expect(saved.map(({ name }) => name)).toEqual(["glasshead-prediction-divergence.svg"]);
    expect(saved[0]?.content.type).toBe("image/svg+xml");
  });

  test("a picture that this browser cannot draw is said in words", async () => {
    Object.assign(HTMLImageElement.prototype, { decode: () => Promise.resolve() });
    const { el } = mountChart();
    find(el, '[data-action="save-png"]').click();
    await settle();
    expect(el.textContent).toContain("This browser cannot draw pictures.");
  });
});
