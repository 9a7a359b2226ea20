/**
 * Token text for people: white space and control characters become visible, faint marks.
 *
 * Token text is untrusted. It only ever becomes text nodes; the marks are elements of ours.
 */

import { h } from "./dom";

const MARKS: Record<string, string> = { " ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };
// Controls, zero-width and bidirectional characters: invisible, and able to garble a line.
const INVISIBLE: readonly (readonly [first: number, last: number])[] = [
  [0x7f, 0x9f],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x2069],
  [0xfeff, 0xfeff],
];

function markOf(character: string): string | null {
  const mark = MARKS[character];
  if (mark) return mark;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return INVISIBLE.some(([first, last]) => code >= first && code <= last)
    ? `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`
    : null;
}

// The bytes of a split character, as the kernel writes them: the spaces between are no text.
const BYTES = /(⟨[0-9A-F]{2}(?: [0-9A-F]{2})+⟩)/;

/** Each character of the text, or several that bear no mark. */
function* characters(text: string): Generator<[plain: string, mark: string | null]> {
  for (const [i, part] of text.split(BYTES).entries()) {
    if (i % 2 === 1) yield [part, null];
    else for (const character of part) yield [character, markOf(character)];
  }
}

/** The text with its marks as `<span class="gh-mark">`; an empty text shows as ∅. */
export function show(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  if (text === "") fragment.append(h("span", { class: "gh-mark" }, "∅"));
  let plain = "";
  const flush = (): void => {
    if (plain) fragment.append(plain);
    plain = "";
  };
  for (const [character, mark] of characters(text)) {
    if (mark === null) {
      plain += character;
      continue;
    }
    flush();
    fragment.append(h("span", { class: "gh-mark" }, mark));
  }
  flush();
  return fragment;
}

/** The same as a plain string, for canvases, `aria-label` and `title`. */
export function showPlain(text: string): string {
  if (text === "") return "∅";
  return Array.from(characters(text), ([character, mark]) => mark ?? character).join("");
}

/** A sentence with what cannot be printed made visible; its spaces stay spaces. */
export function printable(text: string): string {
  return Array.from(text, (character) =>
    character === " " ? character : (markOf(character) ?? character),
  ).join("");
}

/** A token in a sentence: quoted, without the white space around it, cut to `length`. */
export function quote(text: string, length = 24): string {
  const inner = showPlain(text.trim() || text);
  const characters = Array.from(inner);
  const cut = characters.length > length ? `${characters.slice(0, length - 1).join("")}…` : inner;
  // FSI … PDI keeps right-to-left tokens from turning the sentence around them.
  return `‘\u2068${cut}\u2069’`;
}
