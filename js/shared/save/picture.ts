/** The picture of a view as it stands: in the theme that is wanted, whatever the page shows. */

import { css } from "../palette";
import { inTheme, readInks } from "../theme";
import type { Look } from "./file";
import { engrave } from "./page";
import { onPage } from "./place";
import { asSvg } from "./sheet";

/** What a view says of its picture; all of it can be left out. */
export interface Picture {
  /** The file's name, without what says its format. */
  name?: string;
  /** What is shown, beyond the title: layer, heads, unit. */
  caption?: string;
}

export interface Pictured {
  root: HTMLElement;
  title: string;
  /** The parts of the page that are the picture, topmost first. */
  parts: readonly HTMLElement[];
  picture: Picture;
  /** Its width when it was last seen. */
  width: number;
}

/** What is pressed takes no room in a picture; the page itself is not painted meanwhile. */
function withoutControls<T>(root: HTMLElement, draw: () => T): T {
  root.toggleAttribute("data-saving", true);
  try {
    return draw();
  } finally {
    root.removeAttribute("data-saving");
  }
}

/** Draws the view as an SVG document. The page is as before when this returns. */
export function pictureOf({ root, title, parts, picture, width }: Pictured, look: Look): string {
  const draw = (): string => {
    const inks = readInks(root, look.theme);
    return asSvg({
      title,
      caption: picture.caption ?? "",
      parts: parts.map(engrave),
      paper: look.transparent ? null : css(inks.paper),
      ink: inks.ink,
      soft: inks.soft,
      font: inks.font,
    });
  };
  return onPage(root, width, () => inTheme(root, look.theme, () => withoutControls(root, draw)));
}
