/** Keys that mean the same in every view, and what a button opens. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { menuHelp } from "../../js/shared/controls";
import { commonKeys, DIGITS_MS } from "../../js/shared/keys";
import type { TraceState } from "../../js/shared/state";
import { common, FakeHost, find, press, scene, selfAxes } from "./fake_host";

const hostOf = (heads: number): FakeHost<TraceState> =>
  new FakeHost({ ...common(selfAxes(["a", "b"])), scene: scene(heads), frame: {} } as TraceState);

describe("digits", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const type = (host: FakeHost<TraceState>, keys: string): void => {
    for (const key of keys) commonKeys(new KeyboardEvent("keydown", { key }), host);
  };
  const without = (...heads: number[]): number[] =>
    Array.from({ length: 32 }, (_, i) => i).filter((head) => !heads.includes(head));

  test("two typed quickly are a head from ten on", () => {
    const host = hostOf(32);
    type(host, "12");
    expect(host.state.heads).toEqual(without(12));
    vi.advanceTimersByTime(2 * DIGITS_MS);
    expect(host.state.heads).toEqual(without(12));
  });

  test("one that could go on acts by itself after a while, others at once", () => {
    const host = hostOf(32);
    type(host, "4");
    expect(host.state.heads).toEqual(without(4));
    type(host, "1");
    expect(host.state.heads).toEqual(without(4));
    vi.advanceTimersByTime(DIGITS_MS);
    expect(host.state.heads).toEqual(without(1, 4));
  });

  test("two that are no head are one after the other", () => {
    const host = hostOf(32);
    type(host, "35");
    expect(host.state.heads).toEqual(without(3, 5));
  });

  test("a layer of few heads does not wait", () => {
    const host = hostOf(2);
    type(host, "1");
    expect(host.state.heads).toEqual([0]);
    type(host, "7");
    expect(host.state.heads).toEqual([0]);
  });
});

describe("the help", () => {
  let root: HTMLElement;
  let end: AbortController;
  const isOpen = (): boolean => !find(root, ".gh-help").hidden;
  beforeEach(() => {
    end = new AbortController();
    root = document.createElement("div");
    root.append(menuHelp("this", end.signal).element, document.createElement("input"));
    document.body.replaceChildren(root);
    const opener = find(root, '[data-action="help"]');
    opener.focus();
    opener.click();
  });

  test("closes on Escape, which gives the focus back", () => {
    expect(isOpen()).toBe(true);
    find(root, ".gh-help").focus();
    expect(isOpen()).toBe(true);
    press(find(root, ".gh-help"), "Escape");
    expect(isOpen()).toBe(false);
    expect(document.activeElement).toBe(find(root, '[data-action="help"]'));
  });

  test("closes on a click outside, wherever the focus is, and not on one inside", () => {
    const down = (on: Element): boolean =>
      on.dispatchEvent(new Event("pointerdown", { bubbles: true, composed: true }));
    down(find(root, ".gh-help"));
    expect(isOpen()).toBe(true);
    down(document.body);
    expect(isOpen()).toBe(false);
  });

  test("closes when the focus goes on", () => {
    find(root, "input").focus();
    expect(isOpen()).toBe(false);
  });
});
