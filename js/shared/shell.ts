/** What stands around the picture of every view: header, banners, legend, status line, live region. */

import { createBanners } from "./banners";
import type { CodePanel } from "./code";
import { menuHelp } from "./controls";
import { type Child, h, hide, mark, restate, say, style, watchSize } from "./dom";
import type { Host } from "./host/host";
import type { Theme } from "./palette";
import { asFile, FOR_PAPER, type Look } from "./save/file";
import { saveMenu } from "./save/menu";
import { type Picture, pictureOf } from "./save/picture";
import type { TraceState, ViewState } from "./state";
import { createStory } from "./story/story";
import { type Inks, readInks, watchTheme } from "./theme";
import { createTooltip, type Tooltip } from "./tooltip";
import type { ViewClass } from "./view";

export interface ShellOptions {
  /** A few sentences: how to read it, and what it cannot show. */
  help?: readonly string[];
  /** What is said of a saved picture. */
  picture?(): Picture;
  /** A button shows the Python that gives the numbers, where somebody is there to write it. */
  code?(host: Host<ViewState>, signal: AbortSignal, look: "round"): CodePanel;
  onTheme(theme: Theme): void;
}

export interface Shell {
  readonly root: HTMLElement;
  /** Header slot for controls. */
  readonly controls: HTMLElement;
  readonly body: HTMLElement;
  readonly legend: HTMLElement;
  readonly tooltip: Tooltip;
  /** Ends with the view: pass it to every listener. */
  readonly signal: AbortSignal;
  readonly theme: Theme;
  /** The colours of the theme, for canvases. */
  inks(): Inks;
  /** Brings header, banners, theme and height in line with the state. */
  sync(state: ViewState): void;
  /** One line in words under the picture. */
  setStatus(...words: Child[]): void;
  /** Other sentences on how to read it. */
  setHelp(sentences: readonly string[]): void;
  /** Says something to screen readers. */
  announce(words: string): void;
  /** Marks what is drawn now: `data-ready`, and of a trace `data-frame`. */
  drawn(of?: Shown): void;
  destroy(): void;
}

/** What a picture of a trace is of. */
export type Shown = Pick<TraceState, "layer" | "heads" | "unit" | "kind">;

/** Builds header, body, footer and banners into `el`; the same for every view. */
export function createShell<S extends ViewState>(
  el: HTMLElement,
  host: Host<S>,
  view: ViewClass<S>,
  options: ShellOptions,
): Shell {
  const abort = new AbortController();
  const { signal } = abort;
  const part = (name: string): HTMLDivElement => h("div", { class: name });
  const [controls, body, legend] = [part("gh-controls"), part("gh-body"), part("gh-legend")];
  const heading = createHeading(view.title);
  const help = menuHelp(view.title, signal);
  // A pane stands in an explorer, which says once what is shown and what has gone wrong.
  const banners = host.pane ? null : createBanners(host, signal);
  const story = host.pane ? null : createStory(host);
  const nobody = host.pane || host.can?.("written") === false;
  const code = nobody ? null : options.code?.(host, signal, "round");
  const own = createWords();
  const words = host.words ?? own;
  const picture = createPicture(host, view, options);
  const root = createRoot(
    view,
    h(
      "header",
      { class: "gh-header" },
      ...[heading.element, controls, code && h("div", { class: "gh-code-anchor" }, code.opener)],
      saveMenu({ ...picture, fail: words.setStatus }, signal),
      help.element,
    ),
    code?.element,
    banners?.element,
    story?.element,
    body,
    h("footer", { class: "gh-footer" }, legend, !host.words && own.status),
    !host.words && own.live,
  );
  root.toggleAttribute("data-pane", host.pane === true);
  help.update(options.help ?? []);
  el.append(root);
  picture.of(root, host.words ? [body, legend] : [body, legend, own.status], signal);
  const theme = watchTheme(root, () => host.state.theme, options.onTheme, signal);
  return {
    ...{ root, controls, body, legend, signal, tooltip: createTooltip(root) },
    setStatus: (...said) => words.setStatus(...said),
    announce: (said) => words.announce(said),
    setHelp: help.update,
    get theme() {
      return theme.current;
    },
    inks: () => readInks(root, theme.current),
    sync(state) {
      theme.refresh();
      banners?.sync(state);
      story?.sync(state);
      if (!host.pane) heading.sync(state);
      code?.update();
      root.toggleAttribute("data-fixed-height", state.height > 0);
      style(root, "height", state.height > 0 ? `${state.height}px` : "");
      mark(root, "aria-busy", String(state.busy !== ""));
    },
    drawn(of) {
      if (of) root.dataset.frame = `${of.layer}:${of.heads.join(",")}:${of.unit}:${of.kind}`;
      root.dataset.ready = "true";
    },
    destroy() {
      abort.abort();
      root.remove();
    },
  };
}

/** The view as a file, for the menu and for the kernel. */
function createPicture<S extends ViewState>(
  host: Host<S>,
  view: ViewClass<S>,
  { picture }: ShellOptions,
) {
  let root: HTMLElement | null = null;
  let parts: readonly HTMLElement[] = [];
  let width = 0;
  const draw = (look: Look = FOR_PAPER): string => {
    if (!root) throw new Error("There is nothing to save yet.");
    const { model, notice } = host.state.scene;
    const title = [view.title, model, notice && "toy model"].filter(Boolean).join(" · ");
    return pictureOf({ root, title, parts, picture: picture?.() ?? {}, width }, look);
  };
  return {
    draw: () => draw(),
    name: () => picture?.().name ?? `glasshead-${view.id}`,
    /** What it is a picture of. */
    of(element: HTMLElement, shown: readonly HTMLElement[], signal: AbortSignal): void {
      [root, parts] = [element, shown];
      watchSize(element, () => (width = element.clientWidth), signal);
      host.onPicture?.(async (wish) => asFile(draw(wish), wish));
    },
  };
}

function suppressShortcuts({ target }: FocusEvent): void {
  if (target instanceof HTMLElement) target.dataset.lmSuppressShortcuts = "true";
}

function createRoot(
  { id, title }: { id: string; title: string },
  ...children: Child[]
): HTMLElement {
  return h(
    "section",
    {
      class: "gh",
      attrs: { tabindex: 0 },
      data: { view: id, "lm-suppress-shortcuts": "true" },
      aria: { label: title },
      // JupyterLab looks at what has the focus first: the root alone would leave it the arrow keys.
      on: { focusin: suppressShortcuts },
    },
    ...children,
  );
}

/** The line under the picture, and what screen readers are told. */
function createWords() {
  const status = h("p", { class: "gh-status" });
  const live = h("div", { class: "gh-live", aria: { live: "polite" } });
  return {
    status,
    live,
    setStatus: (...words: Child[]): void => restate(status, ...words),
    announce(words: string): void {
      say(live, words);
    },
  };
}

/** The title with the model's name, and a notice where the model is a toy. */
function createHeading(title: string): { element: HTMLElement; sync(state: ViewState): void } {
  const model = h("span", { class: "gh-model" });
  const notice = h(
    "span",
    { class: "gh-notice", attrs: { role: "note", hidden: true } },
    "toy model",
  );
  return {
    element: h("div", { class: "gh-title" }, h("strong", {}, title), model, notice),
    sync({ scene }) {
      say(model, scene.model ?? "");
      mark(model, "title", scene.model ?? "");
      hide(notice, !scene.notice);
      mark(notice, "title", scene.notice ?? "");
    },
  };
}
