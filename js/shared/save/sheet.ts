/** A picture for a paper: what is shown, in words, and the parts of the page under one another. */

import { svg } from "../dom";
import { isEmpty, rectOf, short, xmlText } from "./marks";
import type { Engraving } from "./page";

export interface Sheet {
  /** The view and the model. */
  title: string;
  /** What is shown: layer, heads, unit. */
  caption: string;
  parts: readonly Engraving[];
  /** null = nothing behind the marks. */
  paper: string | null;
  ink: string;
  soft: string;
  font: string;
}

const PAD = 12;
const GAP = 10;
const LINE = 17;
/** Pixels of a letter of the title and of the caption, in a wide font. */
const LETTERS = { title: 8.6, caption: 7.2 };
const NARROWEST = 320;

/** One SVG document with all of a sheet; nothing in it refers to anything outside. */
export function asSvg(sheet: Sheet): string {
  const parts = sheet.parts.filter(({ box }) => !isEmpty(box));
  const left = Math.min(...parts.map(({ box }) => box.left));
  const right = Math.max(...parts.map(({ box }) => box.right));
  const inner = Math.max(NARROWEST, parts.length ? right - left : 0);
  const root = svg("svg");
  let y = PAD;
  const say = (words: string, letter: number, look: Record<string, string | number>): void => {
    for (const line of wrapped(words, Math.floor(inner / letter))) {
      y += LINE;
      const place = { x: PAD, y: short(y - 4), "font-family": sheet.font };
      root.append(svg("text", { ...place, ...look }, xmlText(line)));
    }
  };
  say(sheet.title, LETTERS.title, { "font-size": 13, "font-weight": 600, fill: sheet.ink });
  say(sheet.caption, LETTERS.caption, { "font-size": 12, fill: sheet.soft });
  for (const { marks, box } of parts) {
    y += GAP;
    root.append(
      svg("g", { transform: `translate(${short(PAD - left)} ${short(y - box.top)})` }, marks),
    );
    y += box.bottom - box.top;
  }
  const [width, height] = [Math.ceil(inner + 2 * PAD), Math.ceil(y + PAD)];
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  for (const [name, value] of Object.entries(size)) root.setAttribute(name, String(value));
  if (sheet.paper) {
    const paper = { left: 0, top: 0, right: width, bottom: height };
    root.prepend(rectOf(paper, { fill: sheet.paper }));
  }
  root.prepend(svg("title", {}, xmlText(sheet.title)));
  return new XMLSerializer().serializeToString(root);
}

function wrapped(words: string, most: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words.split(/\s+/)) {
    if (line && line.length + word.length + 1 > most) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return line ? [...lines, line] : lines;
}
