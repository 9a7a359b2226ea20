/** AttentionLines: two columns of tokens and, between them, a line for each attention weight. */

import {
  hoverPatch,
  labelText,
  litUnits,
  measureLabels,
  type Side,
  selectPatch,
  togglePinned,
  tokenState,
} from "../shared/axis_text";
import { h, sizeCanvas, watchSize } from "../shared/dom";
import { commonKeys, handled, inField } from "../shared/keys";
import { percent } from "../shared/numbers";
import { createSchedule, type Schedule } from "../shared/schedule";
import type { Axes, Sequence } from "../shared/state";
import { readInks } from "../shared/theme";
import { createFrame, type Host, type View, type ViewFrame } from "../shared/view";
import { type Lit, type TokenColumn, tokenColumn } from "./columns";
import { createHeader, type Header } from "./controls";
import { drawBars, drawFans, drawLine, drawLines, type Paint } from "./drawing";
import { createFans, type Fans, quietUnits } from "./fans";
import { type Geometry, headTracks, hitLine, layout, rowHeightFor } from "./geometry";
import { createHeadings } from "./headings";
import { effectiveThreshold, type Shown, select } from "./lines";
import { type Picture, readPicture } from "./picture";
import type { LinesState } from "./state";
import { fanSentence, linesSentence, lineWords } from "./words";

const HELP = [
  "Each line is one attention weight: the token on the left looks at the token on the right. The colour is the head, the opacity the weight.",
  "Hover a token to see only its lines, with bars for each head; click pins it, Escape lets go. Arrow keys move, [ and ] change the layer, digits turn heads on and off.",
  "Attention says where a head reads from, not why the model answers as it does: a strong line is not an explanation.",
];
// A taller picture scrolls inside its own frame.
const NATURAL_HEIGHT = 640;

export class AttentionLinesView implements View<LinesState> {
  static readonly title = "Attention lines";

  private readonly frame: ViewFrame;
  private readonly schedule: Schedule;
  private readonly header: Header;
  private readonly fans: Fans;
  private readonly columns: Record<Side, TokenColumn>;
  private readonly headings = createHeadings();
  private readonly base = h("canvas", { class: "al-base", aria: { hidden: true } });
  private readonly overlay = h("canvas", { class: "al-fan", aria: { hidden: true } });
  private readonly sheet = h("div", { class: "al-sheet" }, this.base, this.overlay);
  private readonly plane = h("div", { class: "al-plane" });
  private readonly scroller = h("div", { class: "al-scroll" }, this.plane);
  private picture: Picture | null = null;
  private shown: Shown | null = null;
  private geometry: Geometry | null = null;
  private hoveredLine: number | null = null;
  /** How many of the shown lines are on the canvas. */
  private drawn = 0;
  /** The side the pointer or the arrow keys were on last: decides the fan of a hovered token. */
  private side: Side = "query";

  constructor(
    el: HTMLElement,
    private readonly host: Host<LinesState>,
  ) {
    this.frame = createFrame(el, host, {
      name: "attention-lines",
      title: AttentionLinesView.title,
      help: HELP,
      onTheme: () => this.restyle(),
    });
    const { signal, root } = this.frame;
    this.schedule = createSchedule(signal);
    this.header = createHeader(this.frame, host);
    this.columns = { query: tokenColumn("query"), key: tokenColumn("key") };
    this.fans = createFans(host, signal, () => this.showFans());
    this.plane.append(this.sheet, this.columns.query.element, this.columns.key.element);
    const stage = h("div", { class: "al-stage" }, this.scroller, this.headings.below);
    this.frame.body.append(this.header.filters, this.headings.above, stage);
    this.scroller.addEventListener("scroll", () => this.schedule.request(this.drawAll), { signal });
    this.plane.addEventListener("pointermove", this.onMove, { signal });
    this.plane.addEventListener("pointerleave", this.onLeave, { signal });
    this.plane.addEventListener("click", this.onClick, { signal });
    root.addEventListener("keydown", this.onKey, { signal });
    watchSize(this.frame.body, () => this.schedule.request(this.drawAll), signal);
    this.update({});
  }

  update(changed: Partial<LinesState>): void {
    const all = Object.keys(changed).length === 0;
    const any = (...names: (keyof LinesState)[]): boolean =>
      all || names.some((name) => name in changed);
    const { state } = this.host;
    this.frame.sync(state);
    if (any("axes", "frame")) this.readPicture(any("axes"));
    if (any("axes", "frame", "heads", "threshold")) this.selectLines();
    this.header.update(state, this.frame.theme, this.shown);
    if (any("axes", "frame", "heads", "threshold", "height", "layer")) {
      this.schedule.request(this.drawAll);
    }
    this.readFans();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  private restyle(): void {
    if (!this.header) return;
    this.header.update(this.host.state, this.frame.theme, this.shown);
    this.schedule.request(this.drawAll);
  }

  destroy(): void {
    this.frame.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  private readPicture(newAxes: boolean): void {
    const old = newAxes ? null : this.picture;
    this.picture = readPicture(this.host.state, old);
    if (!this.picture) return;
    const { axes, query, key } = this.picture;
    this.columns.query.fill(query, this.picture.lines?.undefinedRows ?? null);
    this.columns.key.fill(key, null);
    this.headings.fill(axes);
    this.hoveredLine = null;
  }

  private selectLines(): void {
    const { heads, threshold } = this.host.state;
    const lines = this.picture?.lines;
    this.shown = lines ? select(lines, heads, effectiveThreshold(lines, threshold)) : null;
    this.hoveredLine = null;
    this.frame.root.dataset.lines = String(this.shown?.indices.length ?? 0);
  }

  /** Which tokens are lit, on both sides, and the fans of those that show one. */
  private readFans(): void {
    const picture = this.picture;
    if (!picture) {
      this.frame.setStatus(this.host.state.busy ? "" : "Nothing to show yet.");
      return;
    }
    const { state } = this.host;
    const lit = {
      query: litUnits(picture.query, tokenState(state, picture.axes.query.sequence)),
      key: litUnits(picture.key, tokenState(state, picture.axes.key.sequence)),
    };
    const oneSequence = picture.axes.query.sequence === picture.axes.key.sequence;
    const side = oneSequence ? this.side : lit.query.hovered !== null ? "query" : "key";
    const hovered = lit[side].hovered;
    this.plane.dataset.looking = oneSequence ? side : "";
    const pinned = [...lit.query.selected].map((unit) => ({ side: "query" as Side, unit }));
    if (!oneSequence) {
      for (const unit of lit.key.selected) pinned.push({ side: "key", unit });
    }
    const wanted = hovered === null ? pinned : [{ side, unit: hovered }];
    this.fans.want(wanted, picture.lines, { query: picture.query.length, key: picture.key.length });
    this.showFans();
  }

  private litFor(side: Side): Lit {
    const picture = this.picture;
    if (!picture) return { hovered: null, selected: new Set(), quiet: null };
    const lit = litUnits(picture[side], tokenState(this.host.state, picture.axes[side].sequence));
    return { ...lit, quiet: quietUnits(this.fans.current, side) };
  }

  private showFans(): void {
    this.columns.query.light(this.litFor("query"));
    this.columns.key.light(this.litFor("key"));
    this.frame.root.classList.toggle("has-fan", this.fans.current.length > 0);
    this.header.setScale(this.fans.current);
    this.showWords();
    this.schedule.request(this.drawOverlay);
  }

  private showWords(): void {
    const { picture, shown } = this;
    const { state } = this.host;
    if (!picture?.lines || !shown) {
      this.frame.setStatus("");
      return;
    }
    const fan = this.fans.current.at(-1);
    const sentence = fan
      ? fanSentence(picture.axes, fan, picture.lines)
      : linesSentence(picture.lines, shown, effectiveThreshold(picture.lines, state.threshold));
    this.frame.setStatus(sentence);
    if (fan) this.frame.announce(`layer ${picture.lines.frame.key.layer}: ${sentence}`);
    else this.frame.announce(`${percent(shown.mass)} of the attention mass shown`);
  }

  // ── Drawing ───────────────────────────────────────────────────────────────────────────────────

  private readonly drawAll = (): void => {
    const { picture } = this;
    if (!picture) return;
    this.measure(picture);
    const { geometry } = this;
    if (geometry) {
      const bottom = geometry.scroll + geometry.height;
      this.columns.query.window(geometry.scroll, bottom, geometry.rowHeight);
      this.columns.key.window(geometry.scroll, bottom, geometry.rowHeight);
      sizeCanvas(this.base, geometry.width, geometry.height);
      this.drawn = 0;
      this.drawSlice();
    }
    this.drawOverlay();
    if (!picture.lines) return;
    const { layer, heads, unit, kind } = picture.lines.frame.key;
    this.frame.drawn(`${layer}:${heads.join(",")}:${unit}:${kind}`);
  };

  /** The next lines, as many as a frame has time for, until all are drawn. */
  private readonly drawSlice = (): void => {
    const { geometry, picture, shown } = this;
    const context = this.base.getContext("2d");
    if (!context || !geometry || !picture?.lines || !shown) return;
    this.drawn = drawLines(context, geometry, picture.lines, shown, this.drawn, this.paint());
    if (this.drawn < shown.indices.length) this.schedule.request(this.drawSlice);
  };

  private readonly drawOverlay = (): void => {
    const { geometry, picture } = this;
    if (!geometry || !picture) return;
    const context = sizeCanvas(this.overlay, geometry.width, geometry.height);
    if (!context) return;
    const paint = this.paint();
    drawFans(context, geometry, this.fans.current, paint);
    const fan = this.fans.current.at(-1);
    this.headings.hint(geometry, fan ?? null);
    if (fan) drawBars(context, geometry, fan, paint);
    if (this.hoveredLine !== null && picture.lines) {
      drawLine(context, geometry, picture.lines, this.hoveredLine, paint);
    }
  };

  private paint(): Paint {
    const { root, theme } = this.frame;
    const nHeads = this.picture?.lines?.frame.n_heads ?? 1;
    return { theme, inks: readInks(root, theme), nHeads };
  }

  private measure(picture: Picture): void {
    const rows = Math.max(picture.query.length, picture.key.length);
    const rowHeight = rowHeightFor(rows);
    const tall = rows * rowHeight;
    this.plane.style.height = `${tall}px`;
    this.scroller.style.maxHeight = this.host.state.height > 0 ? "" : `${NATURAL_HEIGHT}px`;
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    const width = this.scroller.clientWidth || this.geometry?.width || 640;
    const height = Math.min(tall, this.scroller.clientHeight || NATURAL_HEIGHT);
    const context = this.overlay.getContext("2d");
    const font = `600 13px ${readInks(this.frame.root, this.frame.theme).font}`;
    const need = (side: Side): number => {
      const { axis, length } = picture[side];
      const labels = Array.from({ length }, (_, unit) => labelText(axis, unit));
      return measureLabels(context, labels, font);
    };
    const widths = this.widths?.axes === picture.axes ? this.widths : null;
    this.widths = widths ?? { axes: picture.axes, query: need("query"), key: need("key") };
    const more = this.scroller.scrollTop + height < tall - 1;
    this.scroller.classList.toggle("has-more", more);
    this.scroller.classList.toggle("has-less", this.scroller.scrollTop > 1);
    const columns = layout(width, height, this.widths);
    const scroll = this.scroller.scrollTop;
    const nHeads = picture.lines?.frame.n_heads ?? 1;
    const tracks = headTracks(this.host.state.heads, nHeads, rowHeight);
    this.geometry = { ...columns, height, rowHeight, scroll, tracks };
    this.placeColumns(this.geometry, rowHeight);
  }

  private widths: { axes: Axes; query: number; key: number } | null = null;

  private placeColumns(geometry: Geometry, rowHeight: number): void {
    this.sheet.style.height = `${geometry.height}px`;
    this.frame.root.style.setProperty("--al-row", `${rowHeight}px`);
    const place = (side: Side, x: number, width: number): void => {
      const { style } = this.columns[side].element;
      style.left = `${x}px`;
      style.width = `${width}px`;
    };
    place("query", geometry.queryX, geometry.queryWidth);
    place("key", geometry.keyX, geometry.keyWidth);
    this.headings.place(geometry);
  }

  // ── Pointer and keys ──────────────────────────────────────────────────────────────────────────

  /** The token an event is on: by element, or by height anywhere in a column's half. */
  private unitAt(event: MouseEvent): { side: Side; unit: number } | null {
    const { geometry, picture } = this;
    const token = event.target instanceof Element ? event.target.closest("[data-unit]") : null;
    if (token instanceof HTMLElement) {
      return { side: token.dataset.side as Side, unit: Number(token.dataset.unit) };
    }
    if (!geometry || !picture) return null;
    const box = this.plane.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const inQuery = x >= geometry.queryX - 8 && x < geometry.x0;
    const inKey = x > geometry.x1 && x <= geometry.keyX + geometry.keyWidth + 8;
    if (!inQuery && !inKey) return null;
    const side: Side = inQuery ? "query" : "key";
    const unit = Math.floor(y / geometry.rowHeight);
    return unit >= 0 && unit < picture[side].length ? { side, unit } : null;
  }

  private readonly onMove = (event: PointerEvent): void => {
    const at = this.unitAt(event);
    this.hover(at);
    this.hoverLine(at ? null : event);
  };

  private readonly onLeave = (): void => {
    // What other views light up is read as "looks at", whichever column was touched last in here.
    this.side = "query";
    this.hover(null);
    this.hoverLine(null);
  };

  private hover(at: { side: Side; unit: number } | null): void {
    const { picture } = this;
    if (!picture) return;
    const sequences = new Set<Sequence>([picture.axes.query.sequence, picture.axes.key.sequence]);
    const patch: Partial<LinesState> = {};
    for (const sequence of sequences) {
      const mine = at !== null && picture.axes[at.side].sequence === sequence;
      const token = mine ? picture[at.side].firstToken(at.unit) : null;
      const now = tokenState(this.host.state, sequence).hovered;
      const same = mine ? picture[at.side].unitOf(now) === at.unit : now === null;
      if (!same) Object.assign(patch, hoverPatch(sequence, token));
    }
    const turned = at !== null && at.side !== this.side;
    if (at) this.side = at.side;
    if (Object.keys(patch).length) this.host.set(patch);
    else if (turned) this.readFans();
  }

  private hoverLine(event: PointerEvent | null): void {
    const { geometry, picture, shown } = this;
    let hit: number | null = null;
    if (event && geometry && shown && picture?.lines && !this.fans.current.length) {
      const box = this.plane.getBoundingClientRect();
      const y = event.clientY - box.top - geometry.scroll;
      hit = hitLine(geometry, picture.lines, shown, event.clientX - box.left, y);
    }
    if (hit === null || !event || !picture?.lines) this.frame.tooltip.hide();
    else {
      const [first, second] = lineWords(picture.axes, picture.lines, hit);
      const { clientX: x, clientY: y } = event;
      const anchor = { left: x, right: x, top: y - 6, bottom: y + 6 };
      this.frame.tooltip.show(anchor, [h("b", {}, first), h("div", {}, second)]);
    }
    if (hit === this.hoveredLine) return;
    this.hoveredLine = hit;
    this.schedule.request(this.drawOverlay);
  }

  private readonly onClick = (event: MouseEvent): void => {
    const at = this.unitAt(event);
    if (at) this.pin(at);
  };

  private pin(at: { side: Side; unit: number }): void {
    const { picture } = this;
    if (!picture) return;
    this.side = at.side;
    const { sequence } = picture.axes[at.side];
    const { selected } = tokenState(this.host.state, sequence);
    this.host.set(selectPatch(sequence, togglePinned(picture[at.side], selected, at.unit)));
  }

  /** Scrolls so that a row is inside the view. */
  private reveal(unit: number): void {
    const { geometry, scroller } = this;
    if (!geometry) return;
    const top = unit * geometry.rowHeight;
    const lowest = top - geometry.height + geometry.rowHeight;
    scroller.scrollTop = Math.min(top, Math.max(lowest, scroller.scrollTop));
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (commonKeys(event, this.host) || inField(event)) return;
    if (event.target !== this.frame.root || !this.picture) return;
    const picture = this.picture;
    const { sequence } = picture.axes[this.side];
    const unit = picture[this.side].unitOf(tokenState(this.host.state, sequence).hovered);
    const move = (side: Side, to: number): void => {
      handled(event);
      const last = picture[side].length - 1;
      this.hover({ side, unit: Math.min(last, Math.max(0, to)) });
      this.reveal(to);
    };
    if (event.key === "ArrowDown") move(this.side, unit === null ? 0 : unit + 1);
    else if (event.key === "ArrowUp") move(this.side, (unit ?? 1) - 1);
    else if (event.key === "ArrowLeft") move("query", unit ?? 0);
    else if (event.key === "ArrowRight") move("key", unit ?? 0);
    else if ((event.key === "Enter" || event.key === " ") && unit !== null) {
      handled(event);
      this.pin({ side: this.side, unit });
    }
  };
}
