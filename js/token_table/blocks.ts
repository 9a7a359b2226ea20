/** Two splits of one text, side by side: the stretches that both begin and end with a token. */

import type { Split } from "./data";

/** Positions of the tokens of each that cover the same stretch; one may have none. */
export interface Block {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** The tokens of one tokenizer, taken one after the other. */
interface Line {
  readonly split: Split;
  at: number;
  reach: number;
}

/** The shortest such stretches, in order; every token is in exactly one. */
export function blocks(a: Split, b: Split): Block[] {
  const lines: readonly [Line, Line] = [
    { split: a, at: 0, reach: 0 },
    { split: b, at: 0, reach: 0 },
  ];
  const [one, two] = lines;
  const found: Block[] = [];
  while (one.at < a.n || two.at < b.n) {
    const put = { first: takeEmpty(one), second: takeEmpty(two) };
    if (put.first.length || put.second.length) {
      found.push(put);
      continue;
    }
    const from = [one.at, two.at] as const;
    for (const line of lines) take(line);
    while (one.reach !== two.reach) {
      const behind = one.reach < two.reach ? one : two;
      if (behind.at >= behind.split.n) break;
      take(behind);
    }
    found.push({ first: numbers(from[0], one.at), second: numbers(from[1], two.at) });
  }
  return found;
}

/** Special tokens that were put in cover nothing: they stand for themselves. */
function takeEmpty(line: Line): number[] {
  const from = line.at;
  while (line.at < line.split.n && isEmpty(line)) line.at++;
  return numbers(from, line.at);
}

/** Takes a token, and with it all that hold parts of its last character. */
function take(line: Line): void {
  const { split } = line;
  if (line.at >= split.n) return;
  do {
    line.reach = Math.max(line.reach, split.span(line.at)[1]);
    line.at++;
  } while (line.at < split.n && !isEmpty(line) && split.span(line.at)[0] < line.reach);
}

function isEmpty({ split, at }: Line): boolean {
  const [start, end] = split.span(at);
  return start === end;
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
