import { describe, expect, test, vi } from "vitest";
import { missing } from "../../js/layer_stats_chart/settings";
import type { ChartState, MetricInfo } from "../../js/layer_stats_chart/state";
import { chartFrame, mountChart, only } from "./chart_frames";
import { asked, DIVERGENCE, enter, fieldOf, INFORMATION, NORM, type } from "./chart_statistics";
import { find, press } from "./fake_host";

function mount(more: Partial<ChartState> = {}) {
  const { el, host } = mountChart(more);
  const sent = vi.spyOn(host, "set");
  const select = (): HTMLSelectElement => only(el, '[data-action="metric"]') as HTMLSelectElement;
  return {
    ...{ el, host, sent, select },
    hint: (): string => only(el, ".gh-chart-waiting").textContent ?? "",
    field: (name: string) => fieldOf(el, name),
    statistic({ name }: MetricInfo): void {
      select().value = name;
      select().dispatchEvent(new Event("change"));
    },
  };
}

describe("choosing a statistic", () => {
  test("offers what the model has, under its own names", () => {
    const { select } = mount();
    expect([...select().options].map(({ text }) => text)).toEqual([
      "Size of what blocks add",
      "Right and wrong predictions",
      "Mutual information",
    ]);
    expect(select().value).toBe("norm");
  });

  test("sends it with its defaults, and shows its fields", () => {
    const { host, statistic, field } = mount({ quantity: "norm" });
    statistic(DIVERGENCE);
    expect(host.state.metric).toEqual({
      name: "prediction_divergence",
      label: "Right and wrong predictions",
      parameters: { bins: 30, trim: null },
      over: "",
    });
    expect(host.state.quantity).toBe("");
    expect([field("bins").value, field("trim").value]).toEqual(["30", ""]);
  });

  test("changes nothing in the catalogue when a parameter changes later", () => {
    const { statistic, field } = mount();
    statistic(DIVERGENCE);
    enter(field("bins"), "50");
    expect(DIVERGENCE.defaults.bins).toBe(30);
  });

  test("from Python is shown too", () => {
    const { host, select, field } = mount();
    host.set({ metric: asked(DIVERGENCE, { parameters: { bins: 12, trim: 0.1 } }) });
    expect(select().value).toBe("prediction_divergence");
    expect([field("bins").value, field("trim").value]).toEqual(["12", "0.1"]);
  });

  test("a catalogue that comes later leaves the choice as it was, each statistic once", () => {
    const { host, select } = mount({ metrics: [], metric: asked(DIVERGENCE) });
    host.set({ metrics: [NORM, DIVERGENCE, INFORMATION] });
    expect(select().value).toBe("prediction_divergence");
    expect(select().options).toHaveLength(3);
  });

  test("a metric of the user's own is shown by its label and has no fields", () => {
    const own = { name: "my_metric", label: "my metric", parameters: {}, over: "" };
    const { el, select, statistic, host } = mount({ metric: own });
    expect(select().selectedOptions[0]?.text).toBe("my metric");
    expect(select().options).toHaveLength(4);
    expect(find(el, ".gh-settings").hidden).toBe(true);
    statistic(NORM);
    expect(host.state.metric.name).toBe("norm");
    expect(find(el, ".gh-settings").hidden).toBe(false);
  });

  test("a mean over texts is named beside the fields", () => {
    const { el } = mount({ metric: asked(DIVERGENCE, { over: "24 texts" }) });
    expect(find(el, ".gh-settings").textContent).toContain("mean over 24 texts");
  });
});

describe("a statistic that needs a text first", () => {
  test("shows what is missing and sends nothing until it is there", () => {
    const { host, sent, statistic, field, hint, el } = mount();
    statistic(INFORMATION);
    expect(hint()).toBe(
      "Mutual information needs “Token”: fill it in and press Enter. This is still Norm.",
    );
    expect(field("target").placeholder).toBe("such as “ sea”");
    type(field("target"), " coffee");
    expect(sent).not.toHaveBeenCalled();
    expect(find(el, ".gh-chart-title").textContent).toContain("Size of what each block adds");
    press(field("target"), "Enter");
    expect(host.state.metric).toEqual({
      ...{ name: "mutual_information", label: "Mutual information", over: "" },
      parameters: { target: " coffee", bins: 10 },
    });
    expect(hint()).toBe("Mutual information: not here yet. This is still Norm.");
    expect(document.activeElement).toBe(field("target"));
    const key = { kind: "self", metric: "mutual_information", quantity: "mi" } as const;
    host.set({ frame: chartFrame({ key, metric_label: "Mutual information" }) });
    expect(hint()).toBe("");
    expect(find(el, ".gh-chart-waiting").hidden).toBe(true);
  });

  test("an empty text is refused", () => {
    const { sent, statistic, field } = mount();
    statistic(INFORMATION);
    enter(field("target"), "  ");
    expect(field("target").validationMessage).toBe("Token is empty.");
    expect(sent).not.toHaveBeenCalled();
  });

  test("its other fields send nothing either, and are not forgotten", () => {
    const { host, sent, statistic, field } = mount();
    statistic(INFORMATION);
    enter(field("bins"), "20");
    expect(sent).not.toHaveBeenCalled();
    expect(field("bins").value).toBe("20");
    enter(field("target"), " sea");
    expect(host.state.metric.parameters).toEqual({ target: " sea", bins: 20 });
  });

  test("waits while other things change", () => {
    const { host, statistic, field, select, hint } = mount();
    statistic(INFORMATION);
    type(field("target"), " cof");
    host.set({ hovered: 1 });
    host.set({ frame: chartFrame({ partial: "3 of 4 layers" }) });
    expect(select().value).toBe("mutual_information");
    expect(hint()).toContain("Mutual information needs “Token”");
    expect(field("target").value).toBe(" cof");
    expect(document.activeElement).toBe(field("target"));
  });

  test("gives way to another that comes from Python", () => {
    const { host, statistic, select, hint } = mount();
    statistic(INFORMATION);
    host.set({ metric: asked(DIVERGENCE) });
    expect(select().value).toBe("prediction_divergence");
    expect(hint()).not.toContain("needs");
  });

  test("can be left again for one that needs nothing", () => {
    const { host, statistic, hint } = mount();
    statistic(INFORMATION);
    statistic(DIVERGENCE);
    expect(hint()).not.toContain("needs");
    expect(host.state.metric.name).toBe("prediction_divergence");
  });

  test("what is optional is never missing", () => {
    expect(missing([DIVERGENCE], asked(DIVERGENCE))).toBe("");
    expect(missing([INFORMATION], asked(INFORMATION))).toBe("Token");
    expect(missing([], asked(INFORMATION))).toBe("");
  });
});
