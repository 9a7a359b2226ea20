/** Without a kernel nothing asks for a picture that cannot come; with one again all is as before. */

import { afterEach, expect, test } from "vitest";
import { AttentionLinesView } from "../../js/attention_lines/view";
import { adapter, createHost } from "../../js/shared/host/anywidget";
import type { Host } from "../../js/shared/host/host";
import { paneHost } from "../../js/shared/host/pane";
import type { StoryStep } from "../../js/shared/story/steps";
import { common, find, press, selfAxes, settle } from "./fake_host";
import { FakeModel, StaticModel } from "./fake_model";
import { linesFrame } from "./lines_frames";

interface Small {
  layer: number;
  heads: number[];
  threshold: number;
  frame: object;
}
const NAMES = ["layer", "heads", "threshold", "frame"] as const;
const SMALL = {
  ...{ layer: 1, heads: [], threshold: 0 },
  frame: { kind: "any", key: { layer: 1, heads: [] } },
};

const ends: AbortController[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end.abort();
  document.body.replaceChildren();
});

function hostOf<S extends object>(model: FakeModel, names: readonly (keyof S & string)[]): Host<S> {
  const end = new AbortController();
  ends.push(end);
  return createHost<S>(model.asModel, names, () => {}, end.signal);
}

test("what decides the picture stays, and what goes with it; all else can be changed", () => {
  const model = new StaticModel({ ...SMALL });
  const host = hostOf<Small>(model, NAMES);
  expect(host.status).toBe("no kernel");
  expect(NAMES.filter((name) => host.fixed?.(name))).toEqual(["layer", "heads"]);
  host.set({ layer: 2, threshold: 0.5 });
  expect(host.state).toMatchObject({ layer: 1, threshold: 0 });
  host.set({ layer: 1, threshold: 0.5 });
  expect(host.state).toMatchObject({ layer: 1, threshold: 0.5 });
});

test("with a kernel, busy or not, everything can be changed", () => {
  const host = hostOf<Small>(new FakeModel({ ...SMALL }), NAMES);
  expect(NAMES.filter((name) => host.fixed?.(name))).toEqual([]);
  host.set({ layer: 2 });
  expect(host.state.layer).toBe(2);
});

test("a pane's own traits are meant by its own names", () => {
  const values = {
    ...{ layer: 1, chart_metric: "norm", chart_scale: "auto", lines_top_k: 3 },
    lines_frame: { kind: "lines", key: { layer: 1 } },
    chart_frame: { kind: "chart", key: { metric: "norm" } },
  };
  const names = Object.keys(values) as (keyof typeof values)[];
  const explorer = hostOf<typeof values>(new StaticModel(values), names);
  const pane = (name: string, own: string[]) =>
    paneHost<Record<string, unknown>>(
      explorer as unknown as Host<never>,
      name,
      own,
      new Set(["layer"]),
      { setStatus() {}, announce() {} },
    );
  const chart = pane("chart", ["layer", "metric", "scale"]);
  expect(["layer", "metric", "scale"].filter((name) => chart.fixed?.(name))).toEqual([
    "layer",
    "metric",
  ]);
  expect(pane("lines", ["top_k"]).fixed?.("top_k")).toBe(false);
});

const AXES = selfAxes(["The", " animal", " was"]);
const LINES = {
  ...common(AXES),
  frame: linesFrame(AXES, { lines: [[1, 0, 0, 0.5]] }),
  ...{ aggregate: "separate", sinks: "auto", top_k: 3, threshold: null, blank: false },
  orientation: "vertical",
};

/** Lines in an element that ipywidgets marks while there is no kernel. */
function showLines(more: object = {}) {
  const model = new FakeModel({ ...LINES, ...more });
  const outside = document.createElement("div");
  outside.className = "jupyter-widgets-disconnected";
  const el = document.createElement("div");
  outside.append(el);
  document.body.append(outside);
  const end = new AbortController();
  ends.push(end);
  const { render } = adapter(AttentionLinesView)();
  const given = { model: model.asModel, el, signal: end.signal };
  render?.({ ...given, experimental: {}, host: {} } as never);
  const comesBack = async (): Promise<void> => {
    outside.className = "";
    model.fire("comm_live_update");
    await settle();
    for (const sent of model.sent as { kind: string; id: string }[]) {
      if (sent.kind === "hello") model.fire("msg:custom", { kind: "hello", id: sent.id }, []);
    }
    await settle();
  };
  return { el, model, root: find(el, ".gh"), comesBack };
}

const NEED_A_KERNEL = [
  '[data-action="layer-next"]',
  '[data-action="unit"] button',
  '[data-action="aggregate"] button',
  '[data-head="1"]',
  '[data-action="heads-all"]',
];

test("controls are switched off, and back on when a kernel answers", async () => {
  const { el, model, root, comesBack } = showLines();
  const off = (selector: string) => find(el, selector).getAttribute("aria-disabled");
  expect(NEED_A_KERNEL.map(off)).toEqual(NEED_A_KERNEL.map(() => "true"));
  expect((find(el, "select.gh-layer") as HTMLSelectElement).disabled).toBe(true);
  find(el, '[data-action="layer-next"]').click();
  find(el, '[data-head="1"]').click();
  press(root, "]");
  press(root, "1");
  await settle();
  expect([model.values.layer, model.values.heads]).toEqual([1, []]);
  // Which of the lines are drawn is the browser's to say.
  find(el, '[data-action="blank"]').click();
  await settle();
  expect(find(el, '[data-action="blank"]').getAttribute("aria-pressed")).toBe("true");
  await comesBack();
  expect(NEED_A_KERNEL.map(off)).toEqual(NEED_A_KERNEL.map(() => null));
  find(el, '[data-action="layer-next"]').click();
  expect(model.values.layer).toBe(2);
});

test("a story goes no further than its pictures", async () => {
  const step = (caption: string, state: object): StoryStep => ({
    ...{ caption, state: state as StoryStep["state"], ask: "", choices: [], words: [] },
    ...{ positions: [], where: "text", because: "", reveal: {} },
  });
  const story = [
    step("here", { layer: 1 }),
    step("too", { blank: true }),
    step("no", { layer: 2 }),
  ];
  const { el, model, comesBack } = showLines({ story, step: 0 });
  const next = find(el, '[data-action="story-next"]');
  next.click();
  await settle();
  expect(model.values).toMatchObject({ step: 1, layer: 1, blank: true });
  expect(next.getAttribute("aria-disabled")).toBe("true");
  await comesBack();
  next.click();
  expect(model.values).toMatchObject({ step: 2, layer: 2 });
});
