/** The text, to be edited in place and traced again. */

import { button, disable, fill, h } from "../shared/dom";
import { type Host, whyNoKernel } from "../shared/host/host";
import { handled } from "../shared/keys";
import type { ExplorerState, Prompt } from "./state";

export interface PromptBox {
  readonly element: HTMLElement;
  update(state: Readonly<ExplorerState>): void;
}

/** Letters of an earlier text in the list of them. */
const LETTERS = 60;

export function promptBox(
  host: Host<ExplorerState>,
  signal: AbortSignal,
  fail: (words: string) => void,
): PromptBox {
  let shown: Prompt | null = null;
  let earlier: readonly Prompt[] = [];
  const text = field("Text", "prompt-text");
  const target = field("Target", "prompt-target");
  const trace = button(
    "gh-button",
    () => send(),
    {
      data: { action: "trace" },
    },
    "Trace",
  );
  const undo = button(
    "gh-button",
    () => shown && write(shown),
    {
      attrs: { title: "Back to the text that is shown" },
      data: { action: "prompt-undo" },
    },
    "Undo",
  );
  const back = h("select", {
    class: "ex-earlier gh-layer",
    aria: { label: "Earlier texts" },
    data: { action: "earlier" },
    on: {
      change: () => {
        const chosen = earlier[Number(back.value)];
        back.value = "";
        if (!chosen) return;
        write(chosen);
        send();
      },
    },
  });
  const actions = h("div", { class: "ex-prompt-actions" }, trace, undo, back);
  const element = h(
    "div",
    { class: "ex-prompt", on: { input: () => mark(), keydown: (event) => key(event) } },
    text.element,
    target.element,
    actions,
  );
  const written = (): Pick<Prompt, "text" | "target"> => ({
    text: text.area.value,
    target: target.element.hidden || target.area.value.trim() === "" ? null : target.area.value,
  });
  const isNew = (): boolean => {
    const now = written();
    return shown !== null && (now.text !== shown.text || now.target !== shown.target);
  };
  const isGone = (): boolean => host.status === "no kernel";
  const canTrace = (): boolean => isNew() && text.area.value.trim() !== "" && !isGone();
  const mark = (): void => {
    const changed = isNew();
    disable(trace, !canTrace());
    trace.title = isGone()
      ? `${whyNoKernel(host)} A text is traced by it: run the cell again.`
      : "Run the model on this text (Ctrl + Enter)";
    disable(undo, !changed);
    back.disabled = isGone();
  };
  host.onStatus(mark, signal);
  const write = (prompt: Prompt): void => {
    text.area.value = prompt.text;
    target.area.value = prompt.target ?? "";
    mark();
  };
  const send = (): void => {
    host.ask("retrace", { ...written() }).catch((error: unknown) => {
      fail(error instanceof Error ? error.message : String(error));
    });
  };
  const key = (event: KeyboardEvent): void => {
    // What is typed here is text: no key of it is a view's.
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canTrace()) {
      handled(event);
      send();
    } else if (event.key === "Escape" && shown) write(shown);
  };
  return {
    element,
    update(state) {
      // Nobody is there to run the model: the text can be read, and copied.
      const fixed = host.can?.("retrace") === false || state.scene.given === true;
      text.area.readOnly = target.area.readOnly = actions.hidden = fixed;
      const two = state.scene.family === "encoder-decoder";
      text.name.textContent = two ? "Source" : "Text";
      text.area.setAttribute("aria-label", two ? "Source text" : "Text");
      target.element.hidden = !two;
      const writes = target.area.readOnly
        ? "written by the model"
        : "left empty: the model writes it";
      target.area.placeholder = writes;
      if (state.prompt !== shown) {
        const edited = isNew() && !same(written(), state.prompt);
        const first = shown === null;
        shown = state.prompt;
        // What somebody is writing at the moment stays.
        if (first || !edited || document.activeElement !== text.area) write(shown);
      }
      if (state.earlier !== earlier) {
        earlier = state.earlier;
        const options = earlier.map(({ text: words }, i) =>
          h("option", { attrs: { value: i } }, shortened(words)),
        );
        fill(back, h("option", { attrs: { value: "" } }, "Earlier texts"), ...options.reverse());
        back.hidden = earlier.length === 0;
      }
      mark();
    },
  };
}

function field(label: string, action: string) {
  const name = h("span", { class: "gh-caption" }, label);
  const area = h("textarea", {
    class: "ex-prompt-text",
    attrs: { rows: 1, spellcheck: "false", dir: "auto" },
    aria: { label },
    data: { action },
  });
  return { name, area, element: h("label", { class: "ex-prompt-field" }, name, area) };
}

function same(a: Pick<Prompt, "text" | "target">, b: Pick<Prompt, "text" | "target">): boolean {
  return a.text === b.text && a.target === b.target;
}

function shortened(words: string): string {
  const line = words.replace(/\s+/g, " ").trim();
  return line.length > LETTERS ? `${line.slice(0, LETTERS - 1)}…` : line;
}
