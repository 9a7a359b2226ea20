/** Explorer: several views of one trace as one instrument. */

import { isStale } from "../shared/banners";
import { type CodePanel, codePanel } from "../shared/code";
import { button, disable, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import { mapCaption } from "../shared/map/caption";
import { toolbar } from "../shared/roving";
import { createShell, type Shell } from "../shared/shell";
import { type Frame, hasFrame, type MaybeFrame } from "../shared/state";
import type { View } from "../shared/view";
import { createHeader, type Header } from "./header";
import { HELP } from "./help";
import { Panes } from "./panes";
import { type PromptBox, promptBox } from "./prompt";
import { EXPLORER_TRAITS, type ExplorerState, PANE_NAMES, PANES, type PaneName } from "./state";
import { type WithoutWords, withoutWords } from "./without";

export class ExplorerView implements View<ExplorerState> {
  static readonly id = "explorer";
  static readonly title = "Explorer";
  static readonly traits = EXPLORER_TRAITS;

  readonly #host: Host<ExplorerState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #prompt: PromptBox;
  readonly #code: CodePanel;
  readonly #switches: Map<PaneName, HTMLButtonElement>;
  readonly #panes: Panes;
  readonly #words: WithoutWords;

  constructor(el: HTMLElement, host: Host<ExplorerState>) {
    this.#host = host;
    this.#shell = createShell(el, host, ExplorerView, {
      help: HELP,
      onTheme: () => this.#header?.update(host.state, this.#shell.theme),
      picture: () => ({ caption: mapCaption({ ...host.state, frame: host.state.lines_frame }) }),
    });
    const { body, controls, root, signal } = this.#shell;
    this.#header = createHeader(host, signal);
    this.#prompt = promptBox(host, signal, (words) => this.#shell.setStatus(words));
    this.#code = codePanel(host, signal);
    this.#switches = paneSwitches(host);
    this.#words = withoutWords(this.#shell);
    this.#panes = new Panes(host, signal, this.#words);
    const bar = h("div", { class: "gh-segmented ex-switches" }, ...this.#switches.values());
    toolbar(bar, "Panes");
    controls.append(bar, this.#code.opener);
    body.append(
      this.#prompt.element,
      this.#header.element,
      this.#code.element,
      this.#panes.element,
    );
    host.onStatus(() => this.#panes.update({}), signal);
    root.addEventListener("keydown", (event) => commonKeys(event, host), { signal });
    this.update({});
  }

  update(changed: Partial<ExplorerState>): void {
    const { state } = this.#host;
    this.#shell.sync({ ...state, frame: this.#picture() });
    this.#prompt.update(state);
    this.#header.update(state, this.#shell.theme);
    for (const [name, each] of this.#switches) {
      const isShown = this.#panes.shown.includes(name);
      each.setAttribute("aria-pressed", String(isShown));
      disable(each, !isShown && !this.#canShow(name));
    }
    this.#words.update(state.frame);
    this.#panes.update(changed);
    this.#code.update();
    this.#shell.drawn(state);
  }

  destroy(): void {
    this.#panes.destroy();
    this.#shell.destroy();
  }

  /** Whether a pane's picture is there, or somebody who draws it. */
  #canShow(name: PaneName): boolean {
    if (this.#host.status !== "no kernel") return true;
    const { state } = this.#host;
    const frame = state[`${name}_frame`] as MaybeFrame<Frame>;
    return hasFrame(frame) && !isStale({ ...state, frame });
  }

  /** The picture that tells whether what is shown is what was asked for. */
  #picture(): MaybeFrame<Frame> {
    const { state } = this.#host;
    const shown = this.#panes.shown;
    if (shown.includes("lines")) return state.lines_frame;
    return shown.includes("matrix") ? state.matrix_frame : {};
  }
}

/** A button for each pane that shows or hides it; a large one is put back first. */
function paneSwitches(host: Host<ExplorerState>): Map<PaneName, HTMLButtonElement> {
  const toggle = (name: PaneName): void => {
    const { panes, large } = host.state;
    if (large) host.set({ large: "", panes: panes.includes(name) ? panes : [...panes, name] });
    else if (panes.includes(name)) host.set({ panes: panes.filter((other) => other !== name) });
    else host.set({ panes: PANE_NAMES.filter((each) => each === name || panes.includes(each)) });
  };
  return new Map(
    PANE_NAMES.map((name) => [
      name,
      button(
        "gh-segment",
        () => toggle(name),
        { attrs: { title: `Show or hide: ${PANES[name].title}` }, data: { switch: name } },
        SHORT[name],
      ),
    ]),
  );
}

const SHORT: Readonly<Record<PaneName, string>> = {
  lines: "Lines",
  matrix: "Matrix",
  strip: "Text",
  chart: "Layers",
  finder: "Heads",
};
