/**
 * Running text of any length: its tokens become elements when they come near the screen.
 *
 * Until then a run of them is plain text, which can be searched, selected and copied as well. Runs
 * stand in blocks that the browser lays out when they come near. A block begins a line: it is cut
 * where the text has a line end, and in a paragraph that is too long to be laid out at once behind
 * a sentence or a word.
 */

import { type Child, h } from "./dom";

/** About how many tokens become elements together. */
const RUN = 128;
/** Where a block may end, and how many tokens it must have to end there. */
const BLOCK = { line: 256, sentence: 320, word: 384, inside: 512 };
/** Texts up to this length are one run. */
const WHOLE = 1024;
/** What is nearer to the part in sight than this is made ready. */
const NEAR = "600px 0px";
/** Runs that are made at once, before the page can say what is in sight. */
const FIRST = 4;
/** Milliseconds of a frame in which runs are made: what is left of it is for layout and paint. */
const SLICE = 6;

/** What a text consists of. */
export interface Written {
  readonly count: number;
  /** What ends behind a token; "inside" = not even a word. */
  ends(position: number): keyof typeof BLOCK;
  make(position: number): HTMLElement;
  /** What stands before a token, and with the number of tokens behind the last. */
  before(position: number): Child[];
  /** What stands there for the tokens from one up to another while they are not made. */
  plain(from: number, to: number): string;
}

/** Styles a token; it is called again whenever the style of all is set anew. */
export type Dress = (token: HTMLElement, position: number) => void;

export interface LongText {
  readonly element: HTMLElement;
  readonly count: number;
  /** The element of a token, made now where it was not yet. */
  token(position: number): HTMLElement | undefined;
  /** Styles the tokens near the screen now, and each other when it comes near. */
  dress(dress: Dress): void;
  /** Moves a class to these tokens from those that had it. */
  mark(name: string, positions: Iterable<number>): void;
  /** The text is no longer shown. */
  close(): void;
}

/** Consecutive tokens in an element of their own. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly element: HTMLElement;
  isMade: boolean;
  /** How its tokens are styled. */
  dressed: Dress | null;
}

/** Moves classes among elements, and gives them to those that are made later. */
export interface Marks {
  mark(name: string, positions: Iterable<number>): void;
  /** The classes of a new element. */
  onto(token: HTMLElement, position: number): void;
}

/** `at` gives an element that there is; undefined = not yet. */
export function createMarks(at: (position: number) => HTMLElement | undefined): Marks {
  const marked = new Map<string, Set<number>>();
  return {
    mark(name, positions) {
      const now = new Set(positions);
      const before = marked.get(name) ?? new Set();
      for (const position of before) if (!now.has(position)) at(position)?.classList.remove(name);
      for (const position of now) if (!before.has(position)) at(position)?.classList.add(name);
      marked.set(name, now);
    },
    onto(token, position) {
      for (const [name, positions] of marked) {
        if (positions.has(position)) token.classList.add(name);
      }
    },
  };
}

/**
 * Writes a text into an element.
 *
 * `scroller` is what scrolls the text; where it cannot be watched (or is left out), all is made at
 * once.
 */
export function longText(element: HTMLElement, written: Written, scroller?: Element): LongText {
  const { count } = written;
  const tokens: HTMLElement[] = new Array(count);
  const marks = createMarks((position) => tokens[position]);
  const isLong = count > WHOLE;
  const runs = isLong ? longBlocks(element, written) : [wholeBlock(element, written)];
  const runOf = new Map(runs.map((run) => [run.element as Element, run]));
  /** Runs near the part in sight, and how far they were from it. */
  const near = new Map<Run, number>();
  let style: Dress | null = null;

  const make = (run: Run): void => {
    if (run.isMade) return;
    run.isMade = true;
    const nodes: (Node | string)[] = [];
    for (let i = run.from; i < run.to; i++) {
      const token = written.make(i);
      tokens[i] = token;
      marks.onto(token, i);
      // What stands before the first token of a run belongs to the run before: a line end there is
      // the end of that one's last line, and no empty line of this one.
      if (i > run.from || i === 0) nodes.push(...nodesOf(written.before(i)));
      nodes.push(token);
    }
    nodes.push(...nodesOf(written.before(run.to)));
    run.element.replaceChildren(...nodes);
  };
  const isReady = (run: Run): boolean => run.isMade && run.dressed === style;
  const ready = (run: Run): void => {
    make(run);
    if (!style || isReady(run)) return;
    run.dressed = style;
    for (let i = run.from; i < run.to; i++) style(tokens[i] as HTMLElement, i);
  };

  let frame = 0;
  /** The nearest first, in each frame as many as there is time for. */
  const readyNear = (): void => {
    frame = 0;
    const start = performance.now();
    const waiting = [...near].filter(([run]) => !isReady(run)).sort(([, a], [, b]) => a - b);
    for (const [run] of waiting) {
      if (performance.now() - start > SLICE) {
        frame = requestAnimationFrame(readyNear);
        return;
      }
      ready(run);
    }
  };

  let observer: IntersectionObserver | null = null;
  if (isLong && scroller && typeof IntersectionObserver !== "undefined") {
    const seen = (entries: IntersectionObserverEntry[]): void => {
      for (const { target, isIntersecting, boundingClientRect: box, rootBounds } of entries) {
        const run = runOf.get(target);
        if (!run) continue;
        const middle = rootBounds ? rootBounds.top + rootBounds.height / 2 : 0;
        if (isIntersecting) near.set(run, Math.abs(box.top + box.height / 2 - middle));
        else near.delete(run);
      }
      if (frame === 0) readyNear();
    };
    observer = new IntersectionObserver(seen, { root: scroller, rootMargin: NEAR });
    for (const run of runs) observer.observe(run.element);
  }
  for (const run of observer ? runs.slice(0, FIRST) : runs) make(run);
  return {
    element,
    count,
    token(position) {
      const run = runs.find(({ from, to }) => from <= position && position < to);
      if (run) ready(run);
      return tokens[position];
    },
    dress(dress) {
      style = dress;
      const now = near.size > 0 ? near.keys() : observer ? runs.slice(0, FIRST) : runs;
      for (const run of now) ready(run);
    },
    mark: marks.mark,
    close() {
      observer?.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** A short text: one block and one run, so that it flows without a break. */
function wholeBlock(element: HTMLElement, { count }: Written): Run {
  const block = h("div", { class: "gh-text-chunk" });
  element.append(block);
  return { from: 0, to: count, element: block, isMade: false, dressed: null };
}

function longBlocks(element: HTMLElement, written: Written): Run[] {
  const runs: Run[] = [];
  let from = 0;
  for (let i = 0; i < written.count; i++) {
    const isLast = i === written.count - 1;
    if (!isLast && !(i + 1 - from >= BLOCK[written.ends(i)])) continue;
    const block = h("div", { class: "gh-text-chunk is-lazy" });
    element.append(block);
    runs.push(...runsOf(block, written, from, i + 1));
    from = i + 1;
  }
  return runs;
}

/** The runs of one block: all of it, where it is not long. */
function runsOf(block: HTMLElement, written: Written, from: number, to: number): Run[] {
  const n = Math.max(1, Math.floor((to - from) / RUN));
  return Array.from({ length: n }, (_, k) => {
    const [start, stop] = [k, k + 1].map((one) => from + Math.round(((to - from) * one) / n));
    const run = { from: start as number, to: stop as number, isMade: false, dressed: null };
    const element = n === 1 ? block : h("span", { class: "gh-text-run" });
    if (n > 1) block.append(element);
    element.textContent = written.plain(run.from, run.to);
    return { ...run, element };
  });
}

function nodesOf(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === false || child === "") return [];
    return [child instanceof Node ? child : String(child)];
  });
}
