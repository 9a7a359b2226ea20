/** What the user must know before believing a picture: errors, no kernel, work that goes on. */

import { button, type Child, fill, h, say } from "./dom";
import { type Host, whyNoKernel } from "./host/host";
import { hasFrame, type TraceState, type ViewState } from "./state";

export interface Banners {
  readonly element: HTMLElement;
  /** Brings them in line with the state. */
  sync(state: ViewState): void;
}

// Milliseconds until a picture that lags behind its controls says so.
const PATIENCE = 800;
// Milliseconds after which a kernel that says nothing may be gone as well.
const SILENCE = 45_000;

export function createBanners<S extends ViewState>(host: Host<S>, signal: AbortSignal): Banners {
  const { element, show } = stack(host);
  const stale = after(PATIENCE, signal, () => refresh());
  const silent = after(SILENCE, signal, () => refresh());
  // What is shown, as it was synced: an explorer's picture is that of one of its panes.
  let current: ViewState = host.state;
  // A picture that is not yet the one asked for says so, once waiting is no longer a blink.
  const refresh = (): void => {
    stale.watch(isStale(current));
    silent.watch(stale.now || host.status === "busy");
    show(current, stale.now, silent.now);
  };
  host.onStatus(refresh, signal);
  return {
    element,
    sync(state) {
      current = state;
      refresh();
    },
  };
}

/** Whether something has been so for some milliseconds; `onTurn` tells when it turns out so. */
function after(ms: number, signal: AbortSignal, onTurn: () => void) {
  let timer = 0;
  let now = false;
  const stop = (): void => {
    window.clearTimeout(timer);
    timer = 0;
  };
  signal.addEventListener("abort", stop);
  return {
    get now() {
      return now;
    },
    watch(isSo: boolean): void {
      if (!isSo) {
        stop();
        now = false;
      } else if (!timer) {
        timer = window.setTimeout(() => {
          now = true;
          onTurn();
        }, ms);
      }
    },
  };
}

/** Whether the picture answers another layer, kind, unit or other heads than the controls show. */
export function isStale(state: ViewState): boolean {
  const { frame } = state;
  if (state.error || !hasFrame(frame)) return false;
  const key = frame.key as Readonly<Record<string, unknown>>;
  // Each frame's key names what it depends on; a strip lights by cross attention whatever the kind.
  if (!("unit" in key || "query" in key)) return false;
  const wants = state as TraceState & Readonly<Record<string, unknown>>;
  const names = Object.keys(key).filter((name) => name in state && name !== "heads");
  // Some are small objects, which travel anew with each frame.
  const text = (value: unknown): string => JSON.stringify(value) ?? "";
  return names.some((name) => text(key[name]) !== text(wants[name])) || lacksHeads(key, wants);
}

/** Lines of all heads are those of some as well; an aggregate is of its own heads only. */
function lacksHeads(key: Readonly<Record<string, unknown>>, { heads }: TraceState): boolean {
  const drawn = Array.isArray(key.heads) ? key.heads : heads;
  return !(drawn.length === 0 && !("aggregate" in key)) && drawn.join() !== heads.join();
}

const BUSY = "The kernel is busy; the picture follows when it is free.";
const STALE = "The picture is still the last one; the kernel has not answered yet.";
const GONE = "If it has ended, run the cell again.";

const LAST = "Run the cell again for live values; the picture is the last one that came.";

/** Of what the picture is, where the controls have gone on without it. */
function stillOf({ frame }: ViewState): string {
  const key = (hasFrame(frame) ? frame.key : {}) as Partial<TraceState>;
  const heads = key.heads?.length ? `head ${key.heads.join(", ")}` : "all heads";
  const of = key.layer === undefined ? "what was chosen before" : `layer ${key.layer}, ${heads}`;
  return `The controls ask for another picture; this one is still of ${of}. Run the cell again.`;
}

/** The banners themselves, most urgent first. */
function stack<S extends ViewState>(
  host: Host<S>,
): { element: HTMLElement; show(state: ViewState, stale: boolean, silent: boolean): void } {
  const element = h("div", { class: "gh-banners" });
  const words = { error: h("span"), busy: h("span"), kernel: h("span"), why: h("strong") };
  const cancel = button(
    "gh-button gh-cancel",
    () => host.stop(),
    {
      data: { action: "cancel" },
    },
    "Cancel",
  );
  const banner = (kind: string, role: string, ...children: Child[]): HTMLElement =>
    h("div", { class: `gh-banner is-${kind}`, attrs: { role } }, ...children);
  const error = banner("error", "alert", h("strong", {}, "That did not work. "), words.error);
  const kernel = banner("kernel", "status", words.why, " ", words.kernel);
  const busy = banner("busy", "status", h("span", { class: "gh-spinner" }), words.busy);
  return {
    element,
    show(state, stale, silent) {
      const { status } = host;
      say(words.error, state.error);
      const waiting = stale && status !== "busy" ? STALE : BUSY;
      say(words.busy, state.busy || (silent ? `${waiting} ${GONE}` : waiting));
      say(words.kernel, stale ? stillOf(state) : LAST);
      say(words.why, whyNoKernel(host));
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
