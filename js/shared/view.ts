/** What a view is, what it gets from its host, and the frame that all views are built into. */

import type { NdArray } from "./arrays";
import { menuHelp } from "./controls";
import { type Child, fill, h } from "./dom";
import type { Theme } from "./palette";
import type { CommonState } from "./state";
import { watchTheme } from "./theme";
import { createTooltip, type Tooltip } from "./tooltip";

export type HostStatus = "ready" | "busy" | "no kernel";

export interface Answer {
  result: Readonly<Record<string, unknown>>;
  arrays: Readonly<Record<string, NdArray>>;
}

/** The world of a view: its state, a way to change it, a way to ask. Knows nothing of Jupyter. */
export interface Host<S> {
  readonly state: Readonly<S>;
  /** Changes state everywhere; the view hears of it through `update` as of any other change. */
  set(partial: Partial<S>): void;
  /** Rejects with an `Error` in plain words, or with an AbortError when a newer ask replaced it. */
  ask(question: string, args: Record<string, unknown>, signal?: AbortSignal): Promise<Answer>;
  /** Ends long work of the kernel; the picture and its state stay. */
  stop(): void;
  readonly status: HostStatus;
  onStatus(callback: (status: HostStatus) => void, signal: AbortSignal): void;
}

export interface View<S> {
  update(changed: Partial<S>): void;
  destroy(): void;
}

export interface ViewClass<S> {
  new (el: HTMLElement, host: Host<S>): View<S>;
  readonly title: string;
}

export interface FrameOptions {
  /** The `data-view` of the root: "attention-lines" … */
  name: string;
  title: string;
  /** A few sentences: how to read it, and what it cannot show. */
  help: readonly string[];
  onTheme(theme: Theme): void;
}

export interface ViewFrame {
  readonly root: HTMLElement;
  /** Header slot for controls. */
  readonly controls: HTMLElement;
  readonly body: HTMLElement;
  readonly legend: HTMLElement;
  readonly tooltip: Tooltip;
  /** Ends with the view: pass it to every listener. */
  readonly signal: AbortSignal;
  readonly theme: Theme;
  /** Brings header, banners, theme and height in line with the state. */
  sync(state: CommonState): void;
  /** One line in words under the picture. */
  setStatus(...words: Child[]): void;
  /** Other sentences on how to read it. */
  setHelp(sentences: readonly string[]): void;
  /** Says something to screen readers. */
  announce(words: string): void;
  /** Marks what is drawn now: `data-frame` and `data-ready`. */
  drawn(description: string): void;
  destroy(): void;
}

/** Builds header, body, footer and banners into `el`; the same for every view. */
export function createFrame<S extends CommonState>(
  el: HTMLElement,
  host: Host<S>,
  options: FrameOptions,
): ViewFrame {
  const abort = new AbortController();
  const { signal } = abort;
  const part = (name: string): HTMLDivElement => h("div", { class: name });
  const [controls, body, legend] = [part("gh-controls"), part("gh-body"), part("gh-legend")];
  const banners = createBanners(host);
  const status = h("p", { class: "gh-status" });
  const live = h("div", { class: "gh-live", aria: { live: "polite" } });
  const model = h("span", { class: "gh-model" });
  const notice = h("span", { class: "gh-notice", attrs: { role: "note" } }, "toy model");
  const help = menuHelp(options.title);
  help.update(options.help);
  const header = h(
    "header",
    { class: "gh-header" },
    h("div", { class: "gh-title" }, h("strong", {}, options.title), model, notice),
    controls,
    help.element,
  );
  const root = h(
    "section",
    {
      class: "gh",
      attrs: { tabindex: 0 },
      data: { view: options.name, "lm-suppress-shortcuts": "true" },
      aria: { label: options.title },
    },
    header,
    banners.element,
    body,
    h("footer", { class: "gh-footer" }, legend, status),
    live,
  );
  el.append(root);
  const tooltip = createTooltip(root);
  const theme = watchTheme(root, () => host.state.theme, options.onTheme, signal);
  let stale = false;
  let patience = 0;
  const showBanners = (): void => banners.show(stale);
  /** A picture that is not yet the one asked for says so, once waiting is no longer a blink. */
  const watchPicture = (state: CommonState & { frame?: unknown }): void => {
    const waiting = isStale(state);
    if (!waiting) {
      window.clearTimeout(patience);
      patience = 0;
      stale = false;
    } else if (!patience) {
      patience = window.setTimeout(() => {
        stale = true;
        showBanners();
      }, PATIENCE);
    }
  };
  signal.addEventListener("abort", () => window.clearTimeout(patience));
  host.onStatus(showBanners, signal);
  return {
    root,
    controls,
    body,
    legend,
    tooltip,
    signal,
    get theme() {
      return theme.current;
    },
    sync(state) {
      theme.refresh();
      watchPicture(state);
      showBanners();
      model.textContent = state.scene.model ?? "";
      model.title = state.scene.model ?? "";
      notice.hidden = !state.scene.notice;
      notice.title = state.scene.notice ?? "";
      root.toggleAttribute("data-fixed-height", state.height > 0);
      root.style.height = state.height > 0 ? `${state.height}px` : "";
      root.setAttribute("aria-busy", String(state.busy !== ""));
    },
    setStatus(...words) {
      fill(status, ...words);
    },
    setHelp(sentences) {
      help.update(sentences);
    },
    announce(words) {
      if (live.textContent !== words) live.textContent = words;
    },
    drawn(description) {
      root.dataset.frame = description;
      root.dataset.ready = "true";
    },
    destroy() {
      abort.abort();
      root.remove();
    },
  };
}

// Milliseconds until a picture that lags behind its controls says so.
const PATIENCE = 800;

/** Whether the picture answers another layer, kind, unit or other heads than the controls show. */
function isStale(state: CommonState & { frame?: unknown }): boolean {
  const { frame } = state;
  if (state.error || typeof frame !== "object" || frame === null || !("key" in frame)) return false;
  const key = frame.key as Readonly<Record<string, unknown>>;
  // Each frame's key names what it depends on; a strip lights by cross attention whatever the kind.
  if (!("unit" in key)) return false;
  const wants = state as unknown as Readonly<Record<string, unknown>>;
  const names = ["layer", "unit", "kind", "aggregate"];
  return names.some((name) => name in key && key[name] !== wants[name]) || lacksHeads(key, state);
}

/** Lines of all heads are those of some as well; an aggregate is of its own heads only. */
function lacksHeads(key: Readonly<Record<string, unknown>>, { heads }: CommonState): boolean {
  const drawn = Array.isArray(key.heads) ? key.heads : heads;
  return !(drawn.length === 0 && !("aggregate" in key)) && drawn.join() !== heads.join();
}

/** What the user must know before believing the picture, most urgent first. */
function createBanners<S extends CommonState>(
  host: Host<S>,
): { element: HTMLElement; show(stale: boolean): void } {
  const element = h("div", { class: "gh-banners" });
  const words = { error: h("span"), busy: h("span") };
  const cancel = h(
    "button",
    {
      class: "gh-button gh-cancel",
      attrs: { type: "button" },
      data: { action: "cancel" },
      on: { click: () => host.stop() },
    },
    "Cancel",
  );
  const banner = (kind: string, role: string, ...children: Child[]): HTMLElement =>
    h("div", { class: `gh-banner is-${kind}`, attrs: { role } }, ...children);
  const error = banner("error", "alert", h("strong", {}, "That did not work. "), words.error);
  const kernel = banner(
    "kernel",
    "status",
    h("strong", {}, "No kernel. "),
    "The picture is the last one the kernel sent; run the cell again for live values.",
  );
  const busy = banner("busy", "status", h("span", { class: "gh-spinner" }), words.busy);
  return {
    element,
    show(stale) {
      const { state, status } = host;
      words.error.textContent = state.error;
      words.busy.textContent =
        stale && !state.busy
          ? "The picture is still the last one; the kernel has not answered yet. If it has ended, run the cell again."
          : state.busy || "The kernel is busy with something else; the answer will come.";
      if (!state.busy) cancel.remove();
      else if (!cancel.parentNode) busy.append(cancel);
      const shown: HTMLElement[] = state.error ? [error] : [];
      if (status === "no kernel") shown.push(kernel);
      else if (stale || state.busy || status === "busy") shown.push(busy);
      // A button that is put in its place anew between press and release is never clicked.
      const same = shown.length === element.children.length;
      if (!same || shown.some((one, i) => element.children[i] !== one)) fill(element, ...shown);
    },
  };
}
