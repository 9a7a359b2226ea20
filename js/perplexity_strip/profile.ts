/** The small chart under the text: the measure along the whole text, one bar a token or pixel. */

import { fill, h, sizeCanvas, watchSize } from "../shared/dom";
import { drawnAs } from "../shared/save/recorder";
import type { Inks } from "../shared/theme";

export interface ProfileProps {
  /** 0…1 per token, NaN where there is no value. */
  shares: Float32Array;
  /** The share that bars begin at: 0, or in the middle where values have either sign. */
  zero: number;
  /** The colour of a share. */
  colour(share: number): string;
  inks: Inks;
  /** Words at the two ends of the vertical axis. */
  ends: readonly [low: string, high: string];
  /** The first generated token, or null. */
  generated: number | null;
  /** What can stand at the ends: there is room for the longest, whichever it is. */
  labels: readonly string[];
  /** Said over the bars where they are too low to see; "" else. */
  flat: string;
}

export type Span = readonly [start: number, stop: number];

export interface ProfileMarks {
  /** Tokens drawn over. */
  span: Span | null;
  hovered: number | null;
  selected: ReadonlySet<number>;
}

export interface Profile {
  readonly element: HTMLElement;
  draw(props: ProfileProps, marks: ProfileMarks): void;
  /** Redraws with other marks. */
  mark(marks: ProfileMarks): void;
}

/** Where the page has no layout to measure. */
const MIN_HEIGHT = 52;
const MARK = 6;
const MAX_BAR = 14;

export function createProfile(
  signal: AbortSignal,
  onHover: (position: number | null) => void,
  onPick: (position: number) => void,
  /** A span is drawn with the pointer, its end not included; null: none any more. Left out: none is. */
  onBrush: ((span: Span | null) => void) | null,
): Profile {
  const bars = h("canvas", {
    attrs: { role: "img" },
    aria: { label: "The measure along the text" },
  });
  // Marks move with the pointer: on a canvas of their own they cost no drawing of bars.
  const overlay = h("canvas", { aria: { hidden: true } });
  const flat = h("span", { class: "gh-strip-profile-flat" });
  const canvas = h("div", { class: "gh-strip-profile" }, bars, overlay, flat);
  const low = h("span", {});
  const high = h("span", {});
  const room = h("div", { class: "gh-strip-profile-room" });
  const element = h(
    "div",
    { class: "gh-strip-profile-row" },
    h("div", { class: "gh-strip-profile-axis", aria: { hidden: true } }, high, room, low),
    canvas,
  );
  let props: ProfileProps | null = null;
  let marks: ProfileMarks = { span: null, hovered: null, selected: new Set() };
  let last: Size = { width: 0, height: MIN_HEIGHT };
  const size = (): Size => {
    // Taken out of the page (a notebook does so with cells that are far away): the last size holds.
    if (canvas.clientWidth > 0) {
      last = { width: canvas.clientWidth, height: canvas.clientHeight || MIN_HEIGHT };
    }
    return last;
  };
  const sized = (canvas: HTMLCanvasElement): CanvasRenderingContext2D | null => {
    const { width, height } = size();
    return width > 0 ? sizeCanvas(canvas, width, height) : null;
  };
  const paintOn = {
    bars(context: CanvasRenderingContext2D | null): void {
      if (props && context) paint(context, size(), props);
    },
    overlay(context: CanvasRenderingContext2D | null): void {
      if (props && context) paintMarks(context, size(), props, marks);
    },
  };
  drawnAs(bars, paintOn.bars);
  drawnAs(overlay, paintOn.overlay);
  const redrawMarks = (): void => paintOn.overlay(sized(overlay));
  const redraw = (): void => {
    paintOn.bars(sized(bars));
    redrawMarks();
  };
  const at = (event: PointerEvent | MouseEvent): number | null => {
    const n = props?.shares.length ?? 0;
    const box = canvas.getBoundingClientRect();
    if (n === 0 || box.width === 0) return null;
    const position = Math.floor((event.clientX - box.left) / barWidth(n, box.width));
    return position >= 0 && position < n ? position : null;
  };
  // A drag is a span, a press that stays where it is a pin.
  let drag: { from: number; began: boolean } | null = null;
  const nearest = (event: PointerEvent): number => {
    const n = props?.shares.length ?? 0;
    const box = canvas.getBoundingClientRect();
    const position = Math.floor((event.clientX - box.left) / barWidth(n, box.width));
    return Math.min(n - 1, Math.max(0, position));
  };
  canvas.addEventListener(
    "pointerdown",
    (event) => {
      const from = at(event);
      if (!onBrush || event.button !== 0 || from === null) return;
      drag = { from, began: false };
      canvas.setPointerCapture(event.pointerId);
    },
    { signal },
  );
  canvas.addEventListener(
    "pointermove",
    (event) => {
      const to = drag && nearest(event);
      if (!drag || to === null || !(drag.began || to !== drag.from)) {
        onHover(at(event));
        return;
      }
      if (!drag.began) onHover(null);
      drag.began = true;
      onBrush?.([Math.min(drag.from, to), Math.max(drag.from, to) + 1]);
    },
    { signal },
  );
  for (const name of ["pointerup", "pointercancel"]) {
    // Behind the click that follows.
    canvas.addEventListener(name, () => setTimeout(() => (drag = null)), { signal });
  }
  canvas.addEventListener("pointerleave", () => onHover(null), { signal });
  canvas.addEventListener(
    "click",
    (event) => {
      const position = at(event);
      if (position === null || drag?.began) return;
      onBrush?.(null);
      onPick(position);
    },
    { signal },
  );
  watchSize(element, redraw, signal);
  return {
    element,
    draw(next, nextMarks) {
      [props, marks] = [next, nextMarks];
      [low.textContent, high.textContent] = next.ends;
      fill(room, ...next.labels.map((label) => h("div", {}, label)));
      flat.textContent = next.flat;
      element.classList.toggle("is-flat", next.flat !== "");
      bars.setAttribute(
        "aria-label",
        `The measure along the text, ${next.shares.length} tokens, from ${next.ends[0]} to ${next.ends[1]}`,
      );
      redraw();
    },
    mark(next) {
      marks = next;
      redrawMarks();
    },
  };
}

interface Size {
  width: number;
  height: number;
}

/** Pixels a token takes: few tokens are not stretched into slabs. */
function barWidth(n: number, width: number): number {
  return Math.min(MAX_BAR, width / n);
}

function paint(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  props: ProfileProps,
): void {
  const { shares, inks } = props;
  const step = barWidth(shares.length, width);
  const floor = height - MARK - 0.5;
  const room = floor - MARK;
  const base = Math.round(floor - props.zero * room - 0.5) + 0.5;
  context.strokeStyle = inks.hairline;
  context.beginPath();
  context.moveTo(0, base);
  context.lineTo(Math.min(width, step * shares.length), base);
  context.stroke();
  // Where several tokens share a pixel their mean shows: the largest of many is always large.
  const columns = step >= 1 ? shares.length : Math.ceil(width);
  const bar = Math.max(step, 1);
  for (let column = 0; column < columns; column++) {
    const share = average(shares, step >= 1 ? column : column / step, bar / step);
    if (Number.isNaN(share)) continue;
    const tall = Math.max(1, Math.abs(share - props.zero) * room);
    const [top, end] = share < props.zero ? [base, base + tall] : [base - tall, base - tall - 1];
    context.fillStyle = props.colour(share);
    const gap = bar > 4 ? 1 : 0;
    context.fillRect(column * bar, top, bar - gap, tall);
    if (props.flat) continue;
    // Pale bars must still stand out from the paper.
    context.fillStyle = inks.faint;
    context.fillRect(column * bar, end, bar - gap, 1);
  }
  drawGenerated(context, props, step, floor);
}

function average(shares: Float32Array, from: number, count: number): number {
  let [sum, n] = [0, 0];
  const first = Math.floor(from);
  for (let i = first; i < Math.max(first + 1, from + count) && i < shares.length; i++) {
    const share = shares[i] ?? Number.NaN;
    if (!Number.isNaN(share)) [sum, n] = [sum + share, n + 1];
  }
  return sum / n;
}

function drawGenerated(
  context: CanvasRenderingContext2D,
  { generated, inks }: ProfileProps,
  step: number,
  floor: number,
): void {
  if (generated === null) return;
  context.strokeStyle = inks.soft;
  context.setLineDash([2, 2]);
  context.beginPath();
  context.moveTo(Math.round(generated * step) + 0.5, 0);
  context.lineTo(Math.round(generated * step) + 0.5, floor);
  context.stroke();
  context.setLineDash([]);
}

/** A triangle under every pinned token, and a hairline through the one under the pointer. */
function paintMarks(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  { shares, inks }: ProfileProps,
  { span, hovered, selected }: ProfileMarks,
): void {
  const step = barWidth(shares.length, width);
  if (span) {
    const [left, right] = [span[0] * step, span[1] * step];
    context.fillStyle = inks.faint;
    context.globalAlpha = 0.25;
    context.fillRect(left, 0, right - left, height - MARK);
    context.globalAlpha = 1;
    context.fillStyle = inks.ink;
    context.fillRect(left, height - MARK + 2, Math.max(2, right - left), 2);
  }
  context.fillStyle = inks.ink;
  for (const position of [...selected, ...(hovered === null ? [] : [hovered])]) {
    const x = (position + 0.5) * step;
    context.beginPath();
    context.moveTo(x, height - MARK);
    context.lineTo(x - 4, height);
    context.lineTo(x + 4, height);
    context.fill();
    if (position === hovered) context.fillRect(x - 0.5, 0, 1, height - MARK);
  }
}
