/** One pane: a view with the buttons that hide it and make it large. */

import { button, type Child, h } from "../shared/dom";
import type { Host, PaneWords } from "../shared/host/host";
import { type PaneHost, paneHost } from "../shared/host/pane";
import type { View, ViewClass } from "../shared/view";
import { type ExplorerState, PANES, type PaneName, paneTraits, SHARED } from "./state";

type AnyState = ExplorerState & Readonly<Record<string, unknown>>;

export class Pane {
  readonly element: HTMLElement;
  /** The view's own element, which is as high as the view. */
  readonly root: HTMLElement;
  /** Pixels that it takes when nothing is asked of it. */
  natural = 0;
  readonly #host: PaneHost<AnyState>;
  readonly #view: View<AnyState>;

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
    this.element = h("div", { class: "ex-pane", data: { pane: name } }, place, tools);
    this.#view = new view(place, this.#host);
    this.root = place.firstElementChild as HTMLElement;
  }

  /** These traits of the explorer have changed. */
  update(names: Iterable<string>): void {
    const changed = this.#host.changed(names);
    if (Object.keys(changed).length) this.#view.update(changed);
  }

  get height(): number {
    return this.#host.height;
  }

  /** Pixels; 0 = as high as its content. */
  set height(pixels: number) {
    if (pixels === this.#host.height) return;
    this.#host.height = pixels;
    this.#view.update({ height: pixels } as Partial<AnyState>);
  }

  destroy(): void {
    this.#view.destroy();
    this.element.remove();
  }
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
  return h("div", { class: "ex-pane-tools" }, size, !large && hide);
}
