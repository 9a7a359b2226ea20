/** The Python that gives the numbers on the page, to be copied. */

import { button, disable, h } from "./dom";
import { type Host, isAbort, onGone, whyNoKernel } from "./host/host";
import { handled } from "./keys";
import type { ViewState } from "./state";

export interface CodePanel {
  /** Opens and closes it; belongs into the header. */
  readonly opener: HTMLElement;
  readonly element: HTMLElement;
  /** The state has changed, and perhaps the code. */
  update(): void;
}

const WHAT = "The Python that gives the numbers on this page";

export function codePanel(
  host: Host<ViewState>,
  signal: AbortSignal,
  look: "round" | "word" = "word",
): CodePanel {
  const code = h("code", {});
  const copied = h("span", { class: "gh-caption", attrs: { role: "status" } });
  const copy = button(
    "gh-button",
    () => {
      navigator.clipboard?.writeText(code.textContent ?? "").then(
        () => {
          copied.textContent = "copied";
        },
        () => select(code),
      );
      if (!navigator.clipboard) select(code);
    },
    { data: { action: "copy-code" } },
    "Copy",
  );
  const element = h(
    "div",
    { class: "gh-code", attrs: { hidden: true, role: "region" }, aria: { label: "Code" } },
    h("pre", { attrs: { tabindex: 0 }, aria: { label: "Python code" } }, code),
    h("div", { class: "gh-code-actions" }, copy, copied),
  );
  const ask = (): void => {
    host.ask("written", {}, signal).then(
      ({ result }) => {
        const text = String(result.code ?? "");
        if (text !== code.textContent) copied.textContent = "";
        code.textContent = text;
      },
      (error: unknown) => {
        if (!isAbort(error))
          code.textContent = `# ${error instanceof Error ? error.message : error}`;
      },
    );
  };
  const open = (on: boolean): void => {
    element.hidden = !on;
    opener.setAttribute("aria-expanded", String(on));
    if (on) ask();
  };
  element.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return;
      handled(event);
      open(false);
      opener.focus();
    },
    { signal },
  );
  const opener = button(
    look === "round" ? "gh-button gh-round" : "gh-button",
    () => open(element.hidden !== false),
    { aria: { expanded: false, label: "Code" }, data: { action: "code" } },
    look === "round" ? "{ }" : "Code",
  );
  const tell = (): void => {
    const never = host.can?.("written") === false;
    // What has been written already can be read, and copied.
    const off = never || (host.status === "no kernel" && code.textContent === "");
    disable(opener, off);
    if (never) opener.title = "The Python is there in a notebook: this page has no kernel";
    else
      opener.title = off ? `${whyNoKernel(host)} It writes the Python: run the cell again.` : WHAT;
  };
  tell();
  onGone(host, tell, signal);
  return {
    opener,
    element,
    update() {
      if (!element.hidden && host.status !== "no kernel") ask();
    },
  };
}

/** Where a page may not write to the clipboard, the text is at least ready for Ctrl + C. */
function select(element: Element): void {
  window.getSelection()?.selectAllChildren(element);
}
