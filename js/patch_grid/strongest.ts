/** The cells that recover most, as a table for those who do not see the picture. */

import { fill, h } from "../shared/dom";
import { type PatchData, placeName } from "./data";
import { formatShare } from "./numbers";
import { valueWords } from "./words";

const MOST = 12;

export interface Strongest {
  readonly element: HTMLElement;
  update(data: PatchData): void;
}

export function strongestTable(): Strongest {
  const caption = h("caption");
  const rows = h("tbody");
  const named = (name: string): HTMLElement => h("th", { attrs: { scope: "col" } }, name);
  const heading = h("tr", {}, ...["Layer", "Place", "Recovered", "Patched"].map(named));
  const table = h("table", {}, caption, h("thead", {}, heading), rows);
  // A table is as high as it likes: what is around it is not.
  const element = h("div", { class: "pg-strongest", data: { "in-picture": "no" } }, table);
  return {
    element,
    update(data) {
      const { frame, layers, strongest } = data;
      caption.textContent = `Cells that recover most of: ${frame.target}`;
      const cells = strongest.slice(0, MOST).map((cell) => {
        const share = formatShare(data.recovered(cell));
        const value = valueWords(frame, data.patched(cell));
        const texts = [layers[cell.query] ?? "", placeName(data, cell.key), share, value];
        return h("tr", {}, ...texts.map((text) => h("td", {}, text)));
      });
      fill(rows, ...cells);
    },
  };
}
