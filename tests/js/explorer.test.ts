/** The explorer: one header for all panes, and panes that read and write its state. */

import { describe, expect, it, vi } from "vitest";
import { columns } from "../../js/explorer/layout";
import type { ExplorerState } from "../../js/explorer/state";
import { ExplorerView } from "../../js/explorer/view";
import { paneHost } from "../../js/shared/host/pane";
import type { TraceState } from "../../js/shared/state";
import { explorerState, shown } from "./explorers";
import { FakeHost, find, selfAxes, settle } from "./fake_host";
import { linesFrame } from "./lines_frames";

const SAYS_NOTHING = { setStatus: () => {}, announce: () => {} };

describe("a pane's host", () => {
  const paned = () => {
    const explorer = new FakeHost<ExplorerState>(explorerState({ layer: 2 }));
    const names = ["layer", "axes", "frame", "threshold", "height"] as (keyof TraceState)[];
    const shared = new Set(["layer", "axes", "height"]);
    const host = paneHost<TraceState>(explorer as never, "lines", names, shared, SAYS_NOTHING);
    return { explorer, host };
  };

  it("reads what is shared as it is, and the rest under the pane's name", () => {
    const { explorer, host } = paned();
    explorer.set({ lines_threshold: 0.25 } as Partial<ExplorerState>);
    expect(host.state.layer).toBe(2);
    expect((host.state as unknown as { threshold: number }).threshold).toBe(0.25);
    expect(host.changed(["layer", "lines_threshold", "strip_k"])).toEqual({
      layer: 2,
      threshold: 0.25,
    });
  });

  it("writes and asks the same way", async () => {
    const { explorer, host } = paned();
    host.set({ layer: 1, threshold: 0.5 } as never);
    expect(explorer.state.layer).toBe(1);
    expect((explorer.state as unknown as Record<string, unknown>).lines_threshold).toBe(0.5);
    await host.ask("fan", { position: 3 }).catch(() => {});
    expect(explorer.asked).toEqual([{ question: "lines.fan", args: { position: 3 } }]);
  });

  it("keeps the labels of its picture until one of the new unit is there", () => {
    const { explorer, host } = paned();
    const [tokens, words] = [selfAxes(["a", "b"], "token"), selfAxes(["ab"], "word")];
    const frame = (unit: string) => ({ kind: "lines", key: { kind: "self", unit } });
    Object.assign(explorer.state, { axes: tokens, lines_frame: frame("token") });
    expect(host.state.axes).toBe(tokens);
    Object.assign(explorer.state, { axes: words });
    expect(host.state.axes).toBe(tokens);
    Object.assign(explorer.state, { lines_frame: frame("word") });
    expect(host.state.axes).toBe(words);
  });
});

describe("an explorer", () => {
  it("has the controls that panes share once, and says the model once", () => {
    const { el } = shown();
    for (const hook of ["unit", "layer-next", "heads-all", "sinks", "aggregate"]) {
      expect(el.querySelectorAll(`[data-action="${hook}"]`), hook).toHaveLength(1);
    }
    expect(el.querySelectorAll(".gh-model:not(:empty)")).toHaveLength(1);
    expect(el.querySelectorAll(".gh-banners")).toHaveLength(1);
    expect(el.querySelectorAll(".ex-pane")).toHaveLength(4);
  });

  it("hides a pane, makes one large, and puts it back", async () => {
    const { host, el } = shown();
    find(el, '[data-pane="strip"] [data-action="hide"]').click();
    expect(host.state.panes).toEqual(["lines", "matrix", "chart"]);
    find(el, '[data-pane="chart"] [data-action="enlarge"]').click();
    expect(host.state.large).toBe("chart");
    await settle();
    expect(
      [...el.querySelectorAll(".ex-pane")].map((one) => one.getAttribute("data-pane")),
    ).toEqual(["chart"]);
    find(el, '[data-action="put-back"]').click();
    find(el, '[data-switch="strip"]').click();
    expect(host.state).toMatchObject({ large: "", panes: ["lines", "matrix", "strip", "chart"] });
  });

  it("says that its pictures lag behind the controls, until the right ones come", () => {
    vi.useFakeTimers();
    try {
      const axes = selfAxes(["a", "b", "c"]);
      const frame = linesFrame(axes, { lines: [[1, 0, 0, 0.5]], key: { aggregate: "mean" } });
      const of = (layer: number) => ({ ...frame, key: { ...frame.key, layer } });
      const { host, el } = shown({ axes, layer: 1, panes: ["lines"], lines_frame: of(1) });
      const banner = (): string => find(el, ".gh-banners").textContent ?? "";
      vi.advanceTimersByTime(1000);
      expect(banner()).toBe("");
      host.set({ layer: 2 });
      vi.advanceTimersByTime(1000);
      expect(banner()).toContain("The picture is still the last one");
      host.set({ lines_frame: of(2) } as Partial<ExplorerState>);
      expect(banner()).toBe("");
    } finally {
      vi.useRealTimers();
    }
  });

  it("moves the layer by its slider", () => {
    const { host, el } = shown();
    const slider = find(el, '[data-action="layer"]') as HTMLInputElement;
    expect(slider.getAttribute("aria-valuetext")).toBe("layer 1");
    slider.value = "2";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    expect(host.state.layer).toBe(2);
    expect(slider.getAttribute("aria-valuetext")).toBe("layer 2");
  });

  it("sends an edited text to be traced, and only an edited one", () => {
    const { host, el } = shown();
    const area = find(el, '[data-action="prompt-text"]') as HTMLTextAreaElement;
    const trace = find(el, '[data-action="trace"]');
    trace.click();
    expect(host.asked).toEqual([]);
    area.value = "another text";
    area.dispatchEvent(new Event("input", { bubbles: true }));
    trace.click();
    expect(host.asked).toEqual([
      { question: "retrace", args: { text: "another text", target: null } },
    ]);
    host.set({
      prompt: { text: "another text", target: null },
      earlier: [{ text: "a b c", target: null }],
    });
    expect(trace.getAttribute("aria-disabled")).toBe("true");
    const back = find(el, '[data-action="earlier"]') as HTMLSelectElement;
    back.value = "0";
    back.dispatchEvent(new Event("change", { bubbles: true }));
    expect(host.asked.at(-1)?.args).toEqual({ text: "a b c", target: null });
  });

  it("keeps what somebody is writing when another text comes", () => {
    const { host, el } = shown();
    const area = find(el, '[data-action="prompt-text"]') as HTMLTextAreaElement;
    area.focus();
    area.value = "half a sen";
    host.set({ prompt: { text: "from Python", target: null } });
    expect(area.value).toBe("half a sen");
    find(el, '[data-action="prompt-undo"]').click();
    expect(area.value).toBe("from Python");
  });

  it("shows the code while it is asked for", async () => {
    const host = new FakeHost<ExplorerState>(explorerState(), ({ question }) =>
      question === "written" ? { result: { code: "trace.attention(1)" }, arrays: {} } : null,
    );
    const el = document.createElement("div");
    host.view = new ExplorerView(el, host);
    find(el, '[data-action="code"]').click();
    await settle();
    expect(find(el, ".gh-code code").textContent).toBe("trace.attention(1)");
    host.set({ layer: 2 });
    expect(host.asked.filter(({ question }) => question === "written")).toHaveLength(2);
  });
});

describe("columns", () => {
  const pane = (name: string, height: number) => ({ name, height });

  it("deals panes out in turn where nothing speaks against it", () => {
    const four = [pane("a", 500), pane("b", 500), pane("c", 400), pane("d", 420)];
    expect(columns(four, 16)).toEqual({ left: ["a", "c"], right: ["b", "d"] });
  });

  it("divides them so that the heights differ least", () => {
    const four = [pane("a", 400), pane("b", 500), pane("c", 300), pane("d", 640)];
    expect(columns(four, 16)).toEqual({ left: ["a", "b"], right: ["c", "d"] });
  });

  it("leaves panes in their column unless that would leave much of the other one blank", () => {
    const were = new Map([
      ["a", "right"],
      ["b", "left"],
    ] as const);
    const grown = [pane("a", 700), pane("b", 500), pane("c", 300)];
    expect(columns(grown, 16, were)).toEqual({ left: ["b", "c"], right: ["a"] });
    const alone = [pane("a", 700), pane("c", 690)];
    expect(columns(alone, 16, new Map(alone.map(({ name }) => [name, "right" as const])))).toEqual({
      left: ["c"],
      right: ["a"],
    });
  });
});

describe("without a kernel", () => {
  const write = (el: HTMLElement, text: string): void => {
    const area = find(el, '[data-action="prompt-text"]') as HTMLTextAreaElement;
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };

  it("a text cannot be traced, and the button says why", () => {
    const { host, el } = shown();
    write(el, "another text");
    const trace = find(el, '[data-action="trace"]');
    expect(trace.getAttribute("aria-disabled")).toBeNull();
    host.turn("no kernel");
    expect(trace.getAttribute("aria-disabled")).toBe("true");
    expect(trace.title).toContain("No kernel. A text is traced by it: run the cell again.");
    trace.click();
    expect(host.asked.filter(({ question }) => question === "retrace")).toEqual([]);
    host.turn("ready");
    expect(trace.getAttribute("aria-disabled")).toBeNull();
  });

  it("the heads say that they need it, and that a kernel that was there was restarted", () => {
    const { host, el } = shown({ panes: ["finder"] });
    host.turn("no kernel");
    expect(find(el, ".hf-nothing").textContent).toContain("No kernel. It computes all heads");
    Object.assign(host, { wasThere: true });
    host.turn("ready");
    host.turn("no kernel");
    const words = "The kernel was restarted or has ended.";
    expect(find(el, ".hf-nothing").textContent).toContain(words);
    expect(find(el, ".gh-banner.is-kernel").textContent).toContain(`${words} Run the cell again`);
  });
});

describe("a pane that was not drawn", () => {
  it("offers to be drawn when nothing is on its way", () => {
    vi.useFakeTimers();
    const { host, el } = shown({ panes: ["lines"] });
    const missing = find(el, ".ex-missing");
    vi.advanceTimersByTime(900);
    expect(missing.hidden).toBe(true);
    host.set({ busy: "drawing the lines" });
    vi.advanceTimersByTime(5000);
    expect(missing.hidden).toBe(true);
    host.set({ busy: "" });
    vi.advanceTimersByTime(1100);
    expect(missing.hidden).toBe(false);
    find(el, '[data-action="draw"]').click();
    expect(host.asked.at(-1)?.question).toBe("redraw");
    vi.useRealTimers();
  });
});
