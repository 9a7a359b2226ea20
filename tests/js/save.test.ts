import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { h, svg } from "../../js/shared/dom";
import { answerPictures, PART } from "../../js/shared/host/pictures";
import { keepDrawing } from "../../js/shared/save/canvases";
import { gradientOf } from "../../js/shared/save/gradients";
import { ink, xmlText } from "../../js/shared/save/marks";
import { engrave } from "../../js/shared/save/page";
import { record } from "../../js/shared/save/recorder";
import { asSvg, type Sheet } from "../../js/shared/save/sheet";
import { inlined } from "../../js/shared/save/vectors";
import { chartFrame, count, detail, HISTOGRAM, mountChart, only } from "./chart_frames";
import { find, settle } from "./fake_host";

const BOX = { left: 10, top: 100, right: 410, bottom: 300 };

function sheet(more: Partial<Sheet> = {}): Sheet {
  const marks = svg("g", {}, svg("circle", { cx: 1, cy: 1, r: 1 }));
  return {
    ...{ title: "Lines · toy", caption: "layer 1", parts: [{ marks, box: BOX }] },
    ...{ paper: "#ffffff", ink: "#000000", soft: "#555555", font: "Inter, sans-serif" },
    ...more,
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
  test("has a size, paper, title, caption and its parts moved under them", () => {
    const root = read(asSvg(sheet()));
    const [width, height] = [root.getAttribute("width"), root.getAttribute("height")];
    expect(root.getAttribute("viewBox")).toBe(`0 0 ${width} ${height}`);
    expect(Number(width)).toBe(400 + 2 * 12);
    expect(words(root)).toEqual(["Lines · toy", "layer 1"]);
    expect(only(root, "rect").getAttribute("width")).toBe(width);
    const [, x, y] = /translate\((-?\d+) (-?\d+)\)/.exec(
      only(root, "circle").parentElement?.parentElement?.getAttribute("transform") ?? "",
    ) as unknown as [string, string, string];
    expect(Number(x) + BOX.left).toBe(12);
    expect(Number(y) + BOX.top).toBeGreaterThan(40);
    expect(Number(y) + BOX.bottom).toBeLessThan(Number(height));
  });

  test("has nothing behind its marks where it is wanted so", () => {
    expect(count(read(asSvg(sheet({ paper: null }))), "rect")).toBe(0);
  });

  test("its title is text whatever it says", () => {
    const title = `</text><script>alert(1)</script> & "so" on`;
    const root = read(asSvg(sheet({ title })));
    expect(words(root)).toContain(title);
    expect(count(root, "script")).toBe(0);
  });

  test("long words go on in the next line, none lost", () => {
    const caption = "heads 0, 2, 4, 6, 8, 10 and 12 of 16 in layer 3, ".repeat(6).trim();
    const lines = words(read(asSvg(sheet({ caption })))).slice(1);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join(" ")).toBe(caption);
  });

  test("parts that show nothing take no room", () => {
    const nothing = {
      marks: svg("g"),
      box: { left: Infinity, top: Infinity, right: -1, bottom: -1 },
    };
    const [one] = sheet().parts;
    const height = (parts: Sheet["parts"]) => read(asSvg(sheet({ parts }))).getAttribute("height");
    expect(height([nothing, one as Sheet["parts"][0]])).toBe(height([one as Sheet["parts"][0]]));
  });
});

describe("text that XML cannot hold", () => {
  test.each([
    ["\u001b[0m", "␛[0m"],
    ["a\ud83d", "a\ufffd"],
    ["\udc0bz", "\ufffdz"],
    ["🐋 é", "🐋 é"],
    ["\uffff", "\ufffd"],
    ["‘\u2068שלום\u2069’", "‘\u2068שלום\u2069’"],
  ])("%j is written as %j", (text, written) => {
    expect(xmlText(text)).toBe(written);
    read(asSvg(sheet({ title: xmlText(text) })));
  });
});

describe("colours and gradients", () => {
  test("a colour has its opacity apart, which older programs need", () => {
    expect(ink("rgba(255, 0, 16, 0.5)")).toEqual({ colour: "#ff0010", alpha: 0.5 });
    expect(ink("transparent").alpha).toBe(0);
  });

  test("a scale goes from its first colour to its last", () => {
    const box = { left: 0, top: 0, right: 120, bottom: 10 };
    const css = "linear-gradient(to right, rgb(1, 2, 3), rgb(4, 5, 6) 25%, rgb(7, 8, 9))";
    const gradient = gradientOf(css, box, "g1");
    const at = ["x1", "x2", "y1", "y2"].map((name) => Number(gradient?.getAttribute(name)));
    expect(at).toEqual([0, 120, 5, 5]);
    const stops = [...(gradient?.children ?? [])].map((stop) => stop.getAttribute("offset"));
    expect(stops).toEqual(["0", "0.25", "1"]);
  });

  test("a hatching repeats", () => {
    const box = { left: 0, top: 0, right: 20, bottom: 20 };
    const css =
      "repeating-linear-gradient(-45deg, rgba(0, 0, 0, 0) 0px, rgba(0, 0, 0, 0) 3px, rgb(1, 1, 1) 3px, rgb(1, 1, 1) 4px)";
    const gradient = gradientOf(css, box, "g1");
    expect(gradient?.getAttribute("spreadMethod")).toBe("repeat");
    const [x1, x2] = ["x1", "x2"].map((name) => Number(gradient?.getAttribute(name)));
    expect((x1 ?? 0) - (x2 ?? 0)).toBeCloseTo(4 * Math.SQRT1_2, 1);
    expect(gradientOf("url(x.png)", box, "g1")).toBeNull();
  });
});

describe("a drawing recorded as SVG", () => {
  const Path = class {};

  beforeEach(() => void vi.stubGlobal("Path2D", Path));
  afterEach(() => void vi.unstubAllGlobals());

  test("has its strokes as paths with their look", () => {
    const root = record(
      (context) => {
        const path = new Path2D();
        path.moveTo(1, 2);
        path.bezierCurveTo(3, 4, 5, 6, 7.123456, 8);
        context.strokeStyle = "rgb(9, 8, 7)";
        context.globalAlpha = 0.5;
        context.lineWidth = 2;
        context.stroke(path);
      },
      100,
      50,
    );
    const path = root && only(root, "g > path");
    expect(path?.getAttribute("d")).toBe("M1 2C3 4 5 6 7.12 8");
    const look = ["stroke", "stroke-width", "opacity", "fill"].map((name) =>
      path?.getAttribute(name),
    );
    expect(look).toEqual(["#090807", "2", "0.5", "none"]);
    // The browser's own is back.
    expect(Path2D).toBe(Path);
  });

  test("what is painted beneath comes first, and clippings end with restore", () => {
    const root = record(
      (context) => {
        context.fillRect(0, 0, 1, 1);
        context.save();
        context.beginPath();
        context.rect(0, 0, 5, 5);
        context.clip();
        context.fillRect(0, 0, 2, 2);
        context.restore();
        context.globalCompositeOperation = "destination-over";
        context.fillRect(0, 0, 3, 3);
      },
      10,
      10,
    );
    const widths = [...(root?.querySelectorAll("g > rect") ?? [])].map((one) =>
      one.getAttribute("width"),
    );
    expect(widths).toEqual(["3", "1", "2"]);
    const clipped = root?.querySelector('rect[width="2"]')?.parentElement;
    expect(clipped?.getAttribute("clip-path")).toMatch(/^url\(#/);
    expect(root?.querySelector('rect[width="3"]')?.parentElement).not.toBe(clipped);
  });

  test("moves and turns with its context", () => {
    const root = record(
      (context) => {
        context.save();
        context.translate(10, 20);
        context.scale(2, 2);
        context.fillRect(0, 0, 1, 1);
        context.restore();
        context.fillRect(0, 0, 4, 4);
      },
      10,
      10,
    );
    const marks = [...(root?.querySelectorAll("g > rect") ?? [])];
    expect(marks.map((one) => one.getAttribute("transform"))).toEqual([
      "matrix(2 0 0 2 10 20)",
      null,
    ]);
  });

  test.each<[string, (context: CanvasRenderingContext2D) => void]>([
    ["pixels", (context) => context.getImageData(0, 0, 1, 1)],
    ["a shadow", (context) => void Object.assign(context, { shadowBlur: 3 })],
    ["erasing", (context) => context.clearRect(2, 2, 3, 3)],
    [
      "more than a program can open",
      (context) => {
        for (let i = 0; i < 300_000; i++) context.lineTo(i + 0.11, i + 0.22);
      },
    ],
  ])("%s cannot be told in SVG: an image takes its place", (_, draw) => {
    expect(record(draw, 10, 10)).toBeNull();
    expect(Path2D).toBe(Path);
  });

  test("a mistake of the drawing itself is not hidden", () => {
    expect(() =>
      record(
        () => {
          throw new TypeError("no rows");
        },
        10,
        10,
      ),
    ).toThrow("no rows");
  });
});

describe("SVG of the page", () => {
  test("takes its look along and leaves its classes and controls", () => {
    const look = document.createElement("style");
    look.textContent = ".mark { fill: rgb(1, 2, 3); stroke-width: 1.5; }";
    document.head.replaceChildren(look);
    const picture = svg(
      "svg",
      { width: 400 },
      svg("circle", { class: "mark", "data-layer": 1 }),
      svg("rect", { role: "button", "aria-label": "Layer 1" }),
      svg("rect", { role: "button", "data-cell": "1:1" }),
      svg("path", { fill: "url(#hatch-1)" }),
    );
    document.body.replaceChildren(picture);
    const copy = inlined(picture);
    expect(only(copy, "circle").getAttribute("fill")).toBe("rgb(1, 2, 3)");
    expect(count(copy, "[class], [data-layer], [aria-label], [role]")).toBe(0);
    expect(count(copy, "rect")).toBe(1);
    expect(only(copy, "path").getAttribute("fill")).toBe("url(#hatch-1)");
    document.head.replaceChildren();
  });

  test("a name over a line keeps its halo behind its letters", () => {
    // jsdom does not know of the property.
    const look: Record<string, string> = { stroke: "rgb(255, 255, 255)", "paint-order": "stroke" };
    const style = { getPropertyValue: (name: string) => look[name] ?? "" } as CSSStyleDeclaration;
    vi.spyOn(window, "getComputedStyle").mockReturnValue(style);
    const copy = inlined(svg("svg", {}, svg("circle")));
    expect(only(copy, "circle").getAttribute("paint-order")).toBe("stroke");
  });
});

describe("a part of the page", () => {
  beforeEach(() => {
    // jsdom lays nothing out: everything is 100 × 20 here.
    vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(place());
    Range.prototype.getClientRects = () => [place()] as unknown as DOMRectList;
  });

  const place = () =>
    ({ left: 0, top: 0, right: 100, bottom: 20, width: 100, height: 20 }) as DOMRect;

  test("becomes text, and what is there to be pressed is left out", () => {
    const element = h(
      "div",
      {},
      h("button", {}, "press"),
      h("button", { data: { "in-picture": "yes" } }, "head 3"),
      h("span", {}, "</text><b>"),
      h("p", { data: { "in-picture": "no" } }, "Hover a cell"),
    );
    document.body.replaceChildren(element);
    const { marks, box } = engrave(element);
    expect(words(marks)).toEqual(["head 3", "</text><b>"]);
    expect(box).toEqual({ left: 0, top: 0, right: 100, bottom: 20 });
  });

  test("a canvas is drawn once more if its view says how", () => {
    const canvas = h("canvas");
    const element = h("div", {}, canvas);
    document.body.replaceChildren(element);
    keepDrawing(
      canvas,
      () => {},
      (_, width, height) => svg("g", { width, height }),
    );
    const drawn = only(engrave(element).marks, "g[width]");
    expect([drawn.getAttribute("width"), drawn.getAttribute("height")]).toEqual(["100", "20"]);
  });
});

describe("the kernel asks for the picture", () => {
  function page(make: () => Promise<Blob>) {
    const sent: { message: Record<string, unknown>; bytes: number[] }[] = [];
    let ask: (message: unknown) => void = () => {};
    answerPictures(
      {
        send: (message, buffers = []) =>
          sent.push({ message, bytes: buffers.map(({ byteLength }) => byteLength) }),
        listen: (callback) => {
          ask = callback;
        },
      },
      make,
    );
    const asked = { kind: "draw", id: "picture-1", format: "svg" };
    return { sent, ask: (more = {}) => ask({ ...asked, ...more }) };
  }

  test("it hears that somebody draws, then gets the file in parts that any connection takes", async () => {
    const file = new Blob([new Uint8Array(2 * PART + 5)]);
    file.arrayBuffer ??= () => Promise.resolve(new ArrayBuffer(2 * PART + 5));
    const { sent, ask } = page(() => Promise.resolve(file));
    ask();
    await settle();
    const kinds = sent.map(({ message }) => [message.kind, message.part, message.parts]);
    expect(kinds).toEqual([
      ["drawing", undefined, undefined],
      ["drawn", 0, 3],
      ["drawn", 1, 3],
      ["drawn", 2, 3],
    ]);
    expect(sent.flatMap(({ bytes }) => bytes)).toEqual([PART, PART, 5]);
    expect(new Set(sent.map(({ message }) => message.by)).size).toBe(1);
  });

  test("asked again before it was heard, it draws once", async () => {
    const make = vi.fn(() => Promise.reject(new Error("no")));
    const { ask } = page(make);
    ask();
    ask();
    await settle();
    expect(make).toHaveBeenCalledTimes(1);
    ask({ id: "picture-2" });
    await settle();
    expect(make).toHaveBeenCalledTimes(2);
  });

  test("what goes wrong is said in words", async () => {
    const { sent, ask } = page(() => Promise.reject(new Error("too large")));
    ask();
    await settle();
    expect(sent.at(-1)?.message).toMatchObject({ kind: "drawn", error: "too large" });
  });

  test("other messages are not for it", async () => {
    const { sent, ask } = page(() => Promise.reject(new Error("no")));
    ask({ kind: "answer" });
    await settle();
    expect(sent).toEqual([]);
  });
});

describe("the menu of a view", () => {
  test("opens, closes with Escape, and its buttons say what they are for", () => {
    const { el } = mountChart({ frame: chartFrame(), detail: detail(HISTOGRAM) });
    const opener = find(el, '[data-action="save"]');
    const panel = find(el, ".gh-save");
    expect(panel.hidden).toBe(true);
    opener.click();
    expect([panel.hidden, opener.getAttribute("aria-expanded")]).toEqual([false, "true"]);
    expect(find(el, '[data-action="save-svg"]').textContent).toContain("SVG");
    opener.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect([panel.hidden, opener.getAttribute("aria-expanded")]).toEqual([true, "false"]);
  });

  test("a picture that cannot be drawn is said in words", async () => {
    vi.spyOn(XMLSerializer.prototype, "serializeToString").mockImplementation(() => {
      throw new Error("This browser cannot draw pictures.");
    });
    const { el } = mountChart();
    find(el, '[data-action="save-png"]').click();
    await settle();
    expect(find(el, ".gh-status").textContent).toContain(
      "The picture could not be saved: This browser cannot draw pictures.",
    );
  });
});
