/** Columns of a figure that stand for tokens: a press selects them in linked views. */

import { svg } from "../shared/dom";
import { handled } from "../shared/keys";
import type { Plot } from "./plot";

export interface TokenRoom {
  selected: readonly number[];
  onTokens(tokens: readonly number[]): void;
}

interface Column {
  from: number;
  to: number;
  words: string;
}

/** One stop for the tab key; arrow keys go from column to column. */
export function pressableTokens(
  room: TokenRoom,
  plot: Plot,
  positions: readonly (readonly number[])[],
  column: (index: number) => Column,
): SVGElement[] {
  const areas = positions.map((tokens, index) => {
    const { from, to, words } = column(index);
    const pressed = isSelected(tokens, room.selected);
    const name = `${words}, ${tokens.length} token${tokens.length === 1 ? "" : "s"}`;
    const area = svg("rect", {
      class: pressed ? "gh-chart-column is-open is-pressed" : "gh-chart-column is-open",
      "data-tokens": tokens.length,
      "data-stop": `tokens ${index}`,
      role: "button",
      tabindex: index === 0 ? 0 : -1,
      "aria-label": name,
      "aria-pressed": String(pressed),
      x: from,
      y: plot.top,
      width: Math.max(1, to - from),
      height: plot.bottom - plot.top,
    });
    area.append(svg("title", {}, name));
    const press = (): void => room.onTokens(pressed ? [] : tokens);
    area.addEventListener("click", press);
    area.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step) areas[index + step]?.focus();
      else if (event.key === "Enter" || event.key === " ") press();
      else return;
      handled(event);
    });
    return area;
  });
  return areas;
}

function isSelected(tokens: readonly number[], selected: readonly number[]): boolean {
  return (
    tokens.length > 0 &&
    tokens.length === selected.length &&
    tokens.every((t) => selected.includes(t))
  );
}
