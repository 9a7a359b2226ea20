/** One pane: a view with the buttons that hide it and make it large. */

import { button, type Child, h } from "../shared/dom";
import { type Host, onGone, type PaneWords } from "../shared/host/host";
import { type PaneHost, paneHost } from "../shared/host/pane";
import { toolbar } from "../shared/roving";
import { hasFrame, type MapState } from "../shared/state";
import type { View, ViewClass } from "../shared/view";
import { type ExplorerState, PANES, type PaneName, paneTraits, SHARED } from "./state";

/** Pixels that panes take most often. */
const USUAL: Readonly<Record<PaneName, number>> = {
  ...{ lines: 790, matrix: 1000, strip: 400, chart: 640, finder: 540 },
};
/** Traits that leave a view as high as it is. */
const SAME_HEIGHT: ReadonlySet<string> = new Set([
  ...["frame", "layer", "heads", "hovered", "selected", "hovered_source", "selected_source"],
  ...["busy", "error", "theme", "scene", "pinned", "top_k", "threshold", "blank", "scale"],
]);

type AnyState = ExplorerState & Readonly<Record<string, unknown>>;

export class Pane {
  readonly element: HTMLElement;
  /** The view's own element, which is as high as the view. */
  readonly root: HTMLElement;
  /** Pixels that it takes when nothing is asked of it; what others like it take until it is seen. */
  natural: number;
  /** What it takes may be something else by now. */
  isStale = true;
  readonly #host: PaneHost<AnyState>;
  readonly #view: View<AnyState>;
  readonly #missing: Missing;
  readonly #ended = new AbortController();

  constructor(
    readonly name: PaneName,
    explorer: Host<ExplorerState>,
    words: PaneWords,
    tools: HTMLElement,
  ) {
    const view = PANES[name] as unknown as ViewClass<AnyState>;
    const names = paneTraits(name);
    this.#host = paneHost(explorer as unknown as Host<never>, name, names, SHARED, words);
    const place = h("div", { class: "ex-pane-view" });
    this.#missing = missing(explorer);
    const parts = [this.#missing.element, place, tools];
    this.element = h("div", { class: "ex-pane", data: { pane: name } }, ...parts);
    this.#view = new view(place, this.#host);
    onGone(this.#host, () => this.#view.update({}), this.#ended.signal);
    this.#missing.update(this.#host.state.frame);
    this.root = place.firstElementChild as HTMLElement;
    this.natural = USUAL[name];
  }

  /** These traits of the explorer have changed. */
  update(names: Iterable<string>): void {
    const changed = this.#host.changed(names);
    const of = Object.keys(changed);
    if (of.some((trait) => !SAME_HEIGHT.has(trait))) this.isStale = true;
    if (of.length) this.#view.update(changed);
    this.#missing.update(this.#host.state.frame);
  }

  /** Whether its picture is there, and of the kind and the unit that are chosen. */
  get isDrawn(): boolean {
    const { frame, kind, unit } = this.#host.state as unknown as MapState;
    if (!hasFrame(frame) || !("unit" in frame.key)) return hasFrame(frame);
    const of = frame.key as Pick<MapState, "kind" | "unit">;
    return of.kind === kind && of.unit === unit;
  }

  get height(): number {
    return this.#host.height;
  }

  /** Pixels; 0 = as high as its content. */
  set height(pixels: number) {
    if (pixels === this.#host.height) return;
    this.#host.height = pixels;
    this.draw();
  }

  /** Draws all of it anew, in the room that it has. */
  draw(): void {
    this.#view.update({ height: this.#host.height } as Partial<AnyState>);
  }

  /** Keeps the pane as high as it is, whatever its view comes to; null lets it go. */
  hold(pixels: number | null): void {
    const { style } = this.element;
    [style.height, style.overflow] = pixels === null ? ["", ""] : [`${pixels}px`, "clip"];
  }

  destroy(): void {
    this.#ended.abort();
    this.#view.destroy();
    this.#missing.end();
    this.element.remove();
  }
}

/** Milliseconds until a pane without a picture is not one that the kernel is about to draw. */
const PATIENCE = 1000;

interface Missing {
  readonly element: HTMLElement;
  update(frame: AnyState["frame"]): void;
  end(): void;
}

/** A pane whose drawing was cancelled before it had a picture is drawn when that is asked for. */
function missing(explorer: Host<ExplorerState>): Missing {
  const draw = button(
    "gh-button",
    () => {
      explorer.ask("redraw", {}).catch(() => {
        // Where the kernel has gone meanwhile, the explorer says so.
      });
    },
    { data: { action: "draw" } },
    "Draw",
  );
  const element = h("p", { class: "ex-missing" }, "This pane was not drawn. ", draw);
  element.hidden = true;
  let timer = 0;
  return {
    element,
    update(frame) {
      const { status, state } = explorer;
      const isHere = hasFrame(frame) || state.busy !== "" || status === "no kernel";
      window.clearTimeout(timer);
      if (isHere) element.hidden = true;
      else timer = window.setTimeout(() => (element.hidden = false), PATIENCE);
    },
    end: () => window.clearTimeout(timer),
  };
}

export interface Tools {
  isLarge(): boolean;
  hide(): void;
  enlarge(): void;
  putBack(): void;
}

/** The buttons of a pane. */
export function paneTools(title: string, tools: Tools): HTMLElement {
  const tool = (action: string, words: string, click: () => void, ...sign: Child[]) =>
    button(
      "gh-button gh-round",
      click,
      { attrs: { title: words }, aria: { label: words }, data: { action } },
      ...sign,
    );
  const large = tools.isLarge();
  const size = large
    ? tool("put-back", `Put ${title} back among the others`, tools.putBack, "⤡")
    : tool("enlarge", `Make ${title} large`, tools.enlarge, "⤢");
  const hide = tool("hide", `Hide ${title}`, tools.hide, "×");
  const element = h("div", { class: "ex-pane-tools" }, size, !large && hide);
  toolbar(element, `Size of ${title}`);
  return element;
}
