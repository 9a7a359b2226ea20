/** The strongest lines as a table, for those who cannot see the picture. */

import { fill, h } from "../shared/dom";
import { rowName, unitName } from "../shared/map/axis";
import { formatWeight } from "../shared/numbers";
import type { Axes } from "../shared/state";
import { strongest } from "./fan";
import { isCombined, isWhole, type Lines, linesBetween, type Rule } from "./lines";
import { headsWords } from "./words";

export interface Table {
  readonly element: HTMLElement;
  fill(axes: Axes, lines: Lines, rule: Rule | null): void;
}

const ROWS = 10;

export function createTable(): Table {
  const caption = h("caption");
  const head = h("tr", {}, ...["looks", "is looked at", "heads", "weight"].map(heading));
  const body = h("tbody");
  return {
    element: h("table", { class: "al-table" }, caption, h("thead", {}, head), body),
    fill(axes, lines, rule) {
      const drawn = rule && linesBetween(lines, rule, 0, lines.frame.chunk_rows);
      const part = isWhole(lines) ? "" : ` of the first ${lines.frame.chunk_rows} rows`;
      caption.textContent = drawn ? `The strongest lines${part}` : "No lines are drawn";
      const at = drawn ? strongest(drawn.weight, ROWS) : [];
      fill(body, ...at.map((i) => row(axes, lines, drawn, i)));
    },
  };
}

function heading(words: string): HTMLElement {
  return h("th", { attrs: { scope: "col" } }, words);
}

function row(
  axes: Axes,
  lines: Lines,
  drawn: ReturnType<typeof linesBetween> | null,
  i: number,
): HTMLElement {
  const of = isCombined(lines) ? headsWords(lines) : `head ${lines.heads[drawn?.map[i] ?? 0]}`;
  const cells = [
    rowName(axes.query, drawn?.query[i] ?? 0),
    unitName(axes.key, drawn?.key[i] ?? 0),
    of,
    formatWeight(drawn?.weight[i] ?? 0, 3),
  ];
  return h("tr", {}, ...cells.map((words) => h("td", {}, words)));
}
