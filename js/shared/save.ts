/** Takes a picture home: SVG elements with the look they have on the page, as a file of their own. */

import { printable } from "./token_text";

const STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linejoin",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "text-anchor",
  "paint-order",
] as const;
const PAD = 12;
const LINE = 18;
/** Pixels of a letter of a title, about. */
const BOLD = 7.4;

export interface Sheet {
  title: string;
  unit: string;
  /** Under the pictures: legend and notes, line by line. */
  words: readonly string[];
  /** Side by side. */
  pictures: readonly { picture: SVGElement; title: string }[];
  paper: string;
  ink: string;
  font: string;
}

/** One SVG document with all of a sheet; nothing in it refers to anything outside. */
export function asSvg(sheet: Sheet): string {
  const top = PAD + 2 * LINE;
  let x = PAD;
  let bottom = top;
  const root = element("svg", {});
  const text = (at: { x: number; y: number }, words: string, more = {}): void => {
    const node = element("text", { ...at, fill: sheet.ink, "font-family": sheet.font, ...more });
    // Control characters are no XML, not even escaped.
    node.textContent = printable(words);
    root.append(node);
  };
  const titled = sheet.pictures.map(({ picture, title }) => {
    const { width, height } = sizeOf(picture);
    return { picture, width, height, lines: wrapped(title, Math.floor(width / BOLD)) };
  });
  // Side by side: all pictures below a title start where the longest title ends.
  const most = Math.max(0, ...titled.map(({ lines }) => lines.length));
  for (const { picture, width, height, lines } of titled) {
    const down = lines.length ? most * LINE : 0;
    const copy = inlined(picture);
    copy.setAttribute("x", String(x));
    copy.setAttribute("y", String(top + down));
    root.append(copy);
    for (const [i, line] of lines.entries()) {
      text({ x: x + 4, y: top + 10 + LINE * i }, line, { "font-size": 12, "font-weight": 600 });
    }
    bottom = Math.max(bottom, top + down + height);
    x += width + PAD;
  }
  const width = Math.max(x, 320);
  text({ x: PAD, y: PAD + 12 }, sheet.title, { "font-size": 14, "font-weight": 600 });
  text({ x: PAD, y: PAD + 12 + LINE }, sheet.unit, { "font-size": 12 });
  const lines = sheet.words.flatMap((words) => wrapped(words, Math.floor((width - 2 * PAD) / 6.2)));
  for (const [i, words] of lines.entries()) {
    text({ x: PAD, y: bottom + 14 + 16 * i }, words, { "font-size": 12 });
  }
  const height = bottom + 14 + 16 * lines.length + PAD / 2;
  const size = { width: Math.ceil(width), height: Math.ceil(height) };
  const paper = element("rect", { ...size, fill: sheet.paper });
  for (const [name, value] of Object.entries(size)) root.setAttribute(name, String(value));
  root.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  root.prepend(paper);
  return new XMLSerializer().serializeToString(root);
}

/** Draws an SVG document at twice its size. */
export async function asPng(document_: string): Promise<Blob> {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([document_], { type: "image/svg+xml" }));
  try {
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser cannot draw pictures.");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new Error("The picture is too large for this browser."));
      });
    });
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/** Hands a file to the browser's downloads. */
export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The download has its own hold on the content once it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function element(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function sizeOf(picture: SVGElement): { width: number; height: number } {
  const side = (name: string): number => Number(picture.getAttribute(name)) || 0;
  return { width: side("width"), height: side("height") };
}

/** A copy that looks the same anywhere: computed styles become attributes, controls are left out. */
function inlined(picture: SVGElement): SVGElement {
  const copy = picture.cloneNode(true) as SVGElement;
  const [from, to] = [picture, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  for (const [i, original] of (from ?? []).entries()) {
    const target = to?.[i];
    if (!target) continue;
    const style = getComputedStyle(original);
    for (const name of STYLES) {
      const value = style.getPropertyValue(name);
      // Patterns are referred to by name: their address on the page would lead nowhere.
      if (value && !value.startsWith("url(")) target.setAttribute(name, value);
    }
    for (const { name } of [...target.attributes]) {
      if (/^(class|style|role|aria-|data-)/.test(name)) target.removeAttribute(name);
    }
  }
  for (const control of picture.querySelectorAll("[role=button]:not([data-cell])")) {
    const i = from?.indexOf(control) ?? -1;
    to?.[i]?.remove();
  }
  return copy;
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
