/** The tokens that a question is about: what they are called, and which are of one word. */

import { column } from "../map/axis";
import { nameOf, tokenName } from "../names";
import { type Axis, hasAxes, type TraceState, type ViewState } from "../state";
import type { StoryStep } from "./steps";

export interface Tokens {
  name(position: number): string;
  /** Whether both are the same, or of one word where words are shown. */
  isSame(a: number, b: number): boolean;
}

export function tokensOf(state: () => ViewState, { where }: StoryStep): Tokens {
  const axis = (): Axis | null => axisOf(state(), where);
  return {
    name(position) {
      const of = axis();
      if (!of) return `token ${position}`;
      const unit = column(of).unitOf(position);
      if (unit === null) return `token ${position}`;
      const isToken = of.labels.length === column(of).axis.unit_of_token.shape[0];
      return isToken ? tokenName(of.labels, unit) : nameOf(of.labels[unit] ?? "", null);
    },
    isSame(a, b) {
      const of = axis();
      return a === b || (of !== null && column(of).unitOf(a) === column(of).unitOf(b));
    },
  };
}

/** The labels of a text; views without rows and columns have none. */
function axisOf(state: ViewState, where: StoryStep["where"]): Axis | null {
  const { axes } = state as TraceState;
  if (!axes || !hasAxes(axes)) return null;
  const isOf = (axis: Axis): boolean => (axis.sequence === "source") === (where === "source");
  return [axes.key, axes.query].find(isOf) ?? null;
}
