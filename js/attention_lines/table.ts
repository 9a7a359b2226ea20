/** The strongest lines as a table, for those who cannot see the picture. */

import { h, say } from "../shared/dom";
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
const COLUMNS = ["looks", "is looked at", "heads", "weight"];

export function createTable(): Table {
  const caption = h("caption");
  const head = h("tr", {}, ...COLUMNS.map(heading));
  const cells = Array.from({ length: ROWS }, () => COLUMNS.map(() => h("td")));
  const rows = cells.map((own) => h("tr", {}, ...own));
  const body = h("tbody");
  const table = h("table", {}, caption, h("thead", {}, head), body);
  return {
    element: h("div", { class: "al-table" }, table),
    fill(axes, lines, rule) {
      const drawn = rule && linesBetween(lines, rule, 0, lines.frame.chunk_rows);
      const part = isWhole(lines) ? "" : ` of the first ${lines.frame.chunk_rows} rows`;
      say(caption, drawn ? `The strongest lines${part}` : "No lines are drawn");
      const at = drawn ? strongest(drawn.weight, ROWS) : [];
      for (const [place, row] of rows.entries()) {
        const line = at[place];
        if (line === undefined) {
          row.remove();
          continue;
        }
        const words = wordsOf(axes, lines, drawn, line);
        for (const [i, cell] of (cells[place] ?? []).entries()) say(cell, words[i] ?? "");
        if (!row.parentNode) body.append(row);
      }
    },
  };
}

function heading(words: string): HTMLElement {
  return h("th", { attrs: { scope: "col" } }, words);
}

/** What a row says of a line. */
function wordsOf(
  axes: Axes,
  lines: Lines,
  drawn: ReturnType<typeof linesBetween> | null,
  i: number,
): string[] {
  const of = isCombined(lines) ? headsWords(lines) : `head ${lines.heads[drawn?.map[i] ?? 0]}`;
  return [
    rowName(axes.query, drawn?.query[i] ?? 0),
    unitName(axes.key, drawn?.key[i] ?? 0),
    of,
    formatWeight(drawn?.weight[i] ?? 0, 3),
  ];
}
