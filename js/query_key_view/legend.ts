/** What the colours mean. */

import { h } from "../shared/dom";
import { formatWeight } from "../shared/numbers";
import { exact, plain } from "../shared/signed_numbers";
import type { Look } from "./heading";
import { rampOf } from "./painting";
import type { QueryKeyPicture } from "./picture";
import { countWords } from "./words";

/** Heads whose ends of the scale are named. */
const NAMED = 4;

export function legend(picture: QueryKeyPicture, { paint, layout }: Look): HTMLElement[] {
  const { data } = picture;
  const { scaling } = data.frame;
  const one = data.heads.length === 1;
  const end = plain(data.bound(0));
  const low = one ? `−${end} lowers` : "lowers";
  const high = one ? `raises ${end}` : "raises the score";
  const ends = data.heads
    .slice(0, NAMED)
    .map((head, lane) => `${plain(data.bound(lane))} in head ${head}`);
  const full = `in full at ${ends.join(", ")}${data.heads.length > NAMED ? ", …" : ""}`;
  const of = `${scaling === 1 ? "" : `${exact(scaling)} × `}q × k`;
  const words = [
    `a cell: ${of}`,
    one ? "" : full,
    layout.perColumn > 1 ? `a column: the largest of ${layout.perColumn} dimensions` : "",
    data.ends.weight < 1 ? `weight bars end at ${formatWeight(data.ends.weight)}` : "",
    `the query’s own numbers: in full at ${plain(data.queryBound(0))}`,
    countWords(picture),
  ];
  return [
    h(
      "span",
      { class: "gh-scale" },
      h("span", {}, low),
      h("span", { class: "gh-ramp", style: { background: rampOf(paint) } }),
      h("span", {}, high),
    ),
    ...words.filter(Boolean).map((text) => h("span", {}, text)),
  ];
}
