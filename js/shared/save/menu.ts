/** The arrow in the header: saves the picture as a file. */

import { button, h } from "../dom";
import { asFile, download, FOR_PAPER, type Format } from "./file";

export interface SaveOptions {
  /** Draws the picture as an SVG document. */
  draw(): string;
  name(): string;
  /** Hears in words why it could not be saved. */
  fail(words: string): void;
}

export function saveMenu({ draw, name, fail }: SaveOptions, signal: AbortSignal): HTMLElement {
  const save = async (format: Format): Promise<void> => {
    open(false);
    try {
      const file = await asFile(draw(), { ...FOR_PAPER, format });
      download(`${name()}.${format}`, file);
    } catch (error) {
      fail(`The picture could not be saved: ${wordsOf(error)}`);
    }
  };
  const saver = (format: Format, words: string): HTMLElement =>
    button(
      "gh-button",
      () => void save(format),
      { data: { action: `save-${format}` } },
      `${words} (${format.toUpperCase()})`,
    );
  const panel = h(
    "div",
    {
      class: "gh-menu gh-save",
      attrs: { hidden: true, role: "group" },
      aria: { label: "Save the picture" },
    },
    saver("svg", "For papers and slides"),
    saver("png", "As an image"),
  );
  const opener = button(
    "gh-button gh-round",
    () => open(panel.hasAttribute("hidden")),
    {
      attrs: { title: "Save the picture" },
      aria: { label: "Save the picture", expanded: false, haspopup: "true" },
      data: { action: "save" },
    },
    "⤓",
  );
  const open = (on: boolean): void => {
    panel.toggleAttribute("hidden", !on);
    opener.setAttribute("aria-expanded", String(on));
  };
  const element = h("div", { class: "gh-save-anchor" }, opener, panel);
  element.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || panel.hasAttribute("hidden")) return;
      event.stopPropagation();
      open(false);
      opener.focus();
    },
    { signal },
  );
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!event.composedPath().includes(element)) open(false);
    },
    { signal },
  );
  return element;
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
