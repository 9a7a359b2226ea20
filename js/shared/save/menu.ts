/** The arrow in the header: saves the picture as a file. */

import { button, h } from "../dom";
import { popup } from "../popup";
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
    menu.close();
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
      attrs: { role: "group" },
      aria: { label: "Save the picture" },
    },
    saver("svg", "For papers and slides"),
    saver("png", "As an image"),
  );
  const opener = button(
    "gh-button gh-round",
    () => menu.toggle(),
    {
      attrs: { title: "Save the picture" },
      aria: { label: "Save the picture" },
      data: { action: "save" },
    },
    "⤓",
  );
  const element = h("div", { class: "gh-save-anchor" }, opener, panel);
  const menu = popup(element, opener, panel, signal);
  return element;
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
