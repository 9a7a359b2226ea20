/** The switches of an explorer's heads: what they set, what they say, and when they cannot. */

import { describe, expect, it } from "vitest";
import { runName } from "../../js/explorer/run_name";
import type { ExplorerFrame, ExplorerState } from "../../js/explorer/state";
import { ExplorerView } from "../../js/explorer/view";
import { shown } from "./explorers";
import { find, press } from "./fake_host";

const key = { kind: "self", layer: 1, heads: [], unit: "token", aggregate: "mean", sinks: "auto" };

function without(words: string, change = ""): ExplorerFrame {
  return { kind: "explorer", key, without: { off: [], how: "zero", words, change } };
}

const toggle = (el: HTMLElement, head: number): HTMLElement => find(el, `[data-off="${head}"]`);
const tile = (el: HTMLElement, head: number): HTMLElement => find(el, `[data-head="${head}"]`);

describe("the switch of a head", () => {
  it("stands under its tile, and switches the head of this layer off and on", () => {
    const { host, el } = shown();
    toggle(el, 1).click();
    expect(host.state.off).toEqual([["self", 1, 1]]);
    expect(toggle(el, 1).getAttribute("aria-pressed")).toBe("true");
    expect(toggle(el, 0).getAttribute("aria-pressed")).toBe("false");
    host.set({ layer: 2 });
    expect(toggle(el, 1).getAttribute("aria-pressed")).toBe("false");
    toggle(el, 0).click();
    expect(host.state.off).toEqual([
      ["self", 1, 1],
      ["self", 2, 0],
    ]);
    host.set({ layer: 1 });
    toggle(el, 1).click();
    expect(host.state.off).toEqual([["self", 2, 0]]);
  });

  it("is the key O on the tile, which keeps the focus and stays as it was chosen", () => {
    const { host, el } = shown({ heads: [0] });
    tile(el, 1).focus();
    press(tile(el, 1), "o");
    expect(host.state.off).toEqual([["self", 1, 1]]);
    expect(host.state.heads).toEqual([0]);
    expect(document.activeElement).toBe(tile(el, 1));
    press(tile(el, 1), "O");
    expect(host.state.off).toEqual([]);
    press(tile(el, 1), "o", { ctrlKey: true });
    expect(host.state.off).toEqual([]);
  });

  it("is one stop of the Tab key beside that of the tiles, and arrows move among its like", () => {
    const { el } = shown();
    const stops = [...el.querySelectorAll(".gh-heads button")].filter(
      (one) => one.getAttribute("tabindex") === "0",
    );
    expect(stops).toHaveLength(2);
    toggle(el, 0).focus();
    press(toggle(el, 0), "ArrowRight");
    expect(document.activeElement).toBe(toggle(el, 1));
    tile(el, 0).focus();
    press(tile(el, 0), "ArrowRight");
    expect(document.activeElement).toBe(tile(el, 1));
  });

  it("is seen on the tile by a line and not by colour alone, and heard", () => {
    const { el } = shown({ off: [["self", 1, 0]] });
    expect(tile(el, 0).classList.contains("is-off")).toBe(true);
    expect(tile(el, 0).querySelector(".ex-strike")).not.toBeNull();
    expect(tile(el, 0).getAttribute("aria-label")).toBe("Head 0, off");
    expect(tile(el, 1).getAttribute("aria-label")).toBe("Head 1");
  });

  it("is as it should be in a view that is not on the page yet", () => {
    const { host, view } = shown();
    view.destroy();
    host.state.off = [["self", 1, 0]];
    const el = document.createElement("div");
    host.view = new ExplorerView(el, host);
    expect(tile(el, 0).classList.contains("is-off")).toBe(true);
  });

  it("says why where a head cannot be switched off, and can still be let go of", () => {
    const fixed_heads = { self: { "1": "X mixes its heads" } };
    const { host, el } = shown({ fixed_heads });
    expect(toggle(el, 0).getAttribute("aria-disabled")).toBe("true");
    expect(toggle(el, 0).title).toContain("X mixes its heads");
    press(tile(el, 0), "o");
    toggle(el, 0).click();
    expect(host.state.off).toEqual([]);
    host.set({ off: [["self", 1, 0]] });
    toggle(el, 0).click();
    expect(host.state.off).toEqual([]);
  });

  it("is not there for arrays that somebody gave", () => {
    const { host, el } = shown();
    expect(toggle(el, 0).hidden).toBe(false);
    host.set({ scene: { ...host.state.scene, given: true } });
    expect(toggle(el, 0).hidden).toBe(true);
  });
});

describe("a page without a kernel", () => {
  const saved = (runs: readonly string[], more: Partial<ExplorerState> = {}) => {
    const page = shown(more);
    Object.assign(page.host, {
      can: (question: string) =>
        question === "without"
          ? runs.length > 1
          : !question.startsWith("without ") || runs.includes(question),
    });
    page.view.update({});
    return page;
  };

  it("switches between the runs that it was saved with, and no others", () => {
    const runs = [runName([], "zero"), runName([["self", 1, 0]], "zero")];
    const { host, el } = saved(runs, { off: [["self", 1, 0]] });
    expect(toggle(el, 1).getAttribute("aria-disabled")).toBe("true");
    expect(toggle(el, 1).title).toContain("saved without that run");
    toggle(el, 0).click();
    expect(host.state.off).toEqual([]);
    toggle(el, 0).click();
    expect(host.state.off).toEqual([["self", 1, 0]]);
    expect(find(el, '[data-action="off-how"] button').getAttribute("aria-disabled")).toBe("true");
  });

  it("says that it lacks the whole model's run where there was no room for it", () => {
    const { host, el } = saved([runName([["self", 1, 0]], "zero")], { off: [["self", 1, 0]] });
    const allOn = find(el, '[data-action="all-on"]');
    expect(allOn.getAttribute("aria-disabled")).toBe("true");
    expect(allOn.title).toContain("saved without that run");
    toggle(el, 0).click();
    expect(host.state.off).toEqual([["self", 1, 0]]);
  });

  it("has no switches where it has nothing to switch to", () => {
    const { el } = saved([runName([], "zero")]);
    expect(toggle(el, 0).hidden).toBe(true);
  });
});

describe("what is off", () => {
  it("is counted, however the layer; one button leads to all on, and back", () => {
    const { host, el } = shown();
    const bar = find(el, ".ex-off");
    expect(bar.hidden).toBe(true);
    host.set({
      off: [
        ["self", 0, 1],
        ["self", 2, 0],
      ],
    });
    expect(bar.hidden).toBe(false);
    expect(bar.textContent).toContain("2 heads off");
    find(el, '[data-action="off-how"] [data-value="mean"]').click();
    expect(host.state.off_how).toBe("mean");
    const all = find(el, '[data-action="all-on"]');
    all.click();
    expect(host.state.off).toEqual([]);
    expect(bar.textContent).toBe("2 heads off again");
    all.click();
    expect(host.state.off).toEqual([
      ["self", 0, 1],
      ["self", 2, 0],
    ]);
    all.click();
    host.set({ scene: { ...host.state.scene, model: "Another" } });
    expect(bar.hidden).toBe(true);
  });

  it("stands first in the line of words, with the token that changed most", () => {
    const { host, el } = shown();
    const status = find(el, ".gh-footer .gh-status");
    host.set({ frame: without("Head 1 of layer 1 off", "“<b>” +3.2 bits") });
    expect(status.textContent).toMatch(/^Head 1 of layer 1 off: “<b>” \+3\.2 bits\. /);
    expect(find(el, ".gh-live").textContent).toBe("Head 1 of layer 1 off: “<b>” +3.2 bits");
    host.set({ frame: { kind: "explorer", key } });
    expect(status.textContent).not.toContain("Head 1 of layer 1");
    expect(find(el, ".gh-live").textContent).toBe("All heads are on.");
  });
});
