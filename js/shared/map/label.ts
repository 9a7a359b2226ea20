/** The label of a unit as an element, with what there is to know of it. */

import { h } from "../dom";
import { type Column, labelNodes, type Side, unitTitle } from "./axis";

export function unitLabel(
  column: Column,
  side: Side,
  unit: number,
  isUndefined: boolean,
): HTMLElement {
  const { axis, special, generated } = column;
  const written = generated[unit] ? " (generated)" : "";
  const label = h(
    "span",
    {
      class: "gh-token",
      attrs: {
        dir: "auto",
        title: isUndefined
          ? "Fully masked row: its weights are undefined"
          : unitTitle(axis, unit) + written,
      },
      data: { side, unit },
    },
    ...labelNodes(axis, unit),
  );
  label.classList.toggle("is-special", Boolean(special[unit]));
  label.classList.toggle("is-generated", written !== "");
  label.classList.toggle("is-undefined", isUndefined);
  return label;
}
