/** AttentionLines: two columns of tokens and, between them, a line for each attention weight. */

import { button, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import { onlyLit } from "../shared/lit";
import type { Side } from "../shared/map/axis";
import { mapCaption } from "../shared/map/caption";
import { type At, type LitUnits, litUnits, pinPatch, pointPatch } from "../shared/map/pin";
import { percent } from "../shared/numbers";
import { createShell, type Shell } from "../shared/shell";
import { changesOf, MAP_TRAITS, type View } from "../shared/view";
import { type Chunks, createChunks } from "./chunks";
import type { LitColumn } from "./columns";
import { createHeader, type Header } from "./controls";
import { createFans, type Fans, quietUnits } from "./fans";
import type { Curve } from "./geometry";
import { type Actions, createGestures, type Gestures } from "./gestures";
import { HELP } from "./help";
import type { Rule, Shown } from "./lines";
import { type LinesPicture, linesPicture } from "./picture";
import { type Drawing, Stage } from "./stage";
import type { LinesState } from "./state";
import { createTable } from "./table";
import {
  fanSentence,
  linesSentence,
  lineWords,
  massName,
  type Part,
  sinksOfRow,
  wordsOf,
} from "./words";

export class AttentionLinesView implements View<LinesState> {
  static readonly id = "attention-lines";
  static readonly title = "Attention lines";
  static readonly traits = {
    ...MAP_TRAITS,
    top_k: true,
    threshold: true,
    sentences: true,
    blank: true,
    orientation: true,
  } as const;

  readonly #host: Host<LinesState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #stage: Stage;
  readonly #chunks: Chunks;
  readonly #fans: Fans;
  readonly #gestures: Gestures;
  readonly #table = createTable();
  #picture: LinesPicture | null = null;
  #shown: Shown | null = null;
  /** What the lines say as a whole. */
  #sentence = "";
  /** The side the pointer or the arrow keys were on last: decides the fan of a hovered token. */
  #side: Side = "query";

  constructor(el: HTMLElement, host: Host<LinesState>) {
    this.#host = host;
    this.#shell = createShell(el, host, AttentionLinesView, {
      help: HELP,
      picture: () => ({ caption: mapCaption(host.state) }),
      onTheme: () => this.#restyle(),
    });
    const { body, root, signal } = this.#shell;
    this.#header = createHeader(this.#shell, host);
    this.#chunks = createChunks(host, signal, (what) => this.#onArrival(what));
    this.#stage = new Stage(this.#shell, () => this.#drawing(), {
      onRows: (lines, from, to) => this.#chunks.need(lines, from, to),
    });
    this.#fans = createFans(host, signal, () => this.#showFans());
    this.#gestures = createGestures(this.#shell, this.#stage, this.#actions());
    body.append(this.#header.filters, ...this.#stage.elements, this.#table.element);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.update({});
  }

  update(changed: Partial<LinesState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    const ofPicture = any("axes", "frame");
    const ofRule = any("top_k", "threshold", "blank");
    const ofRoom = any("axes", "height", "orientation");
    const ofLit = any("hovered", "selected", "hovered_source", "selected_source");
    this.#shell.sync(state);
    if (ofPicture) this.#readPicture();
    if (ofPicture || ofRule) this.#readShown();
    if (!onlyLit(changed)) this.#showHeader();
    // In a fixed height the picture has what the words around it leave.
    if (ofRoom || (ofPicture && state.height > 0)) this.#stage.draw();
    else if (ofPicture || ofRule) this.#stage.redraw();
    if (ofPicture || ofRule || ofLit || !this.#picture) this.#readFans();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  #restyle(): void {
    if (!this.#header) return;
    this.#showHeader();
    this.#stage.draw();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #drawing(): Drawing {
    const { height, orientation } = this.#host.state;
    return {
      ...{ picture: this.#picture, rule: this.#rule(), fans: this.#fans.current, height },
      horizontal: orientation === "horizontal",
    };
  }

  /** Which lines are drawn; null = none but those of lit tokens. */
  #rule(): Rule | null {
    const { blank, top_k, threshold } = this.#host.state;
    return blank ? null : { top_k, threshold };
  }

  #readPicture(): void {
    const before = this.#picture;
    this.#picture = linesPicture(this.#host.state, before);
    if (!this.#picture || this.#picture === before) return;
    this.#stage.fill(this.#picture);
    this.#stage.point(null);
  }

  #readShown(): void {
    const lines = this.#picture?.content;
    const rule = this.#rule();
    this.#shown = lines && rule ? this.#chunks.shown(lines, rule) : null;
    this.#shell.root.dataset.lines = String(this.#shown?.n ?? 0);
    if (!this.#picture || !lines) return;
    this.#sentence = linesSentence(this.#picture.axes, lines, this.#shown, rule);
    this.#table.fill(this.#picture.axes, lines, rule);
    this.#stage.describe(`Attention lines, layer ${lines.frame.key.layer}: ${this.#sentence}`);
  }

  #showHeader(): void {
    const lines = this.#picture?.content ?? null;
    this.#header.update(this.#host.state, this.#shell.theme, lines, this.#shown);
  }

  /** Something that was asked for has come. */
  #onArrival(what: "lines" | "shown"): void {
    if (what === "lines") this.#stage.redraw();
    else {
      this.#readShown();
      this.#showHeader();
      this.#showFans();
    }
  }

  /** Which tokens are lit, on both sides, and the fans of those that show one. */
  #readFans(): void {
    const picture = this.#picture;
    if (!picture) {
      this.#shell.setStatus(this.#host.state.busy ? "" : "Nothing to show yet.");
      return;
    }
    const lit = { query: this.#lit(picture, "query"), key: this.#lit(picture, "key") };
    const oneSequence = picture.axes.query.sequence === picture.axes.key.sequence;
    const side = oneSequence ? this.#side : lit.query.hovered !== null ? "query" : "key";
    const { hovered } = lit[side];
    this.#stage.plane.dataset.looking = oneSequence ? side : "";
    const pinned = pinnedUnits(lit.query, oneSequence ? null : lit.key);
    const others = pinned.filter((at) => at.side !== side || at.unit !== hovered);
    this.#fans.want(hovered === null ? pinned : [...others, { side, unit: hovered }], picture);
    this.#showFans();
  }

  /** The name of a unit in the status line, which leads to it. */
  #link({ side, unit, words }: Exclude<Part, string>): HTMLElement {
    const go = (): void => {
      this.#stage.reveal({ side, unit });
      this.#pin({ side, unit });
    };
    const data = { action: "go", to: `${side} ${unit}` };
    const props = { attrs: { title: "Pin it, and go there" }, data };
    return button("al-link", go, props, words);
  }

  #lit(picture: LinesPicture, side: Side): LitUnits {
    return litUnits(this.#host.state, picture[side]);
  }

  #showFans(): void {
    const picture = this.#picture;
    const fans = this.#fans.current;
    if (!picture) return;
    const lines = picture.content;
    this.#stage.light((side): LitColumn => {
      const quiet = lines && quietUnits(fans, lines, side);
      return { ...this.#lit(picture, side), quiet };
    });
    this.#shell.root.classList.toggle("has-fan", fans.length > 0);
    this.#header.setScale(lines, fans);
    this.#showWords(picture);
  }

  #showWords({ axes, content: lines }: LinesPicture): void {
    const shell = this.#shell;
    if (!lines) {
      shell.setStatus("");
      return;
    }
    const fan = this.#fans.current.at(-1);
    const parts = fan ? fanSentence(axes, fan, lines) : [this.#sentence];
    const sentence = wordsOf(parts);
    shell.setStatus(...parts.map((part) => (typeof part === "string" ? part : this.#link(part))));
    if (fan) shell.announce(`layer ${lines.frame.key.layer}: ${sentence}`);
    else if (!this.#shown) shell.announce(sentence);
    else shell.announce(`${percent(this.#shown.mass)} of ${massName(lines)} shown`);
  }

  // ── What the user does ────────────────────────────────────────────────────────────────────────

  #actions(): Actions {
    return {
      at: () => {
        const picture = this.#picture;
        const side = this.#side;
        if (!picture) return null;
        const { query, key } = picture;
        const length = { query: query.length, key: key.length };
        const horizontal = this.#host.state.orientation === "horizontal";
        return { side, unit: this.#lit(picture, side).hovered, length, horizontal };
      },
      point: (at) => this.#point(at),
      pointLine: (line, event) => this.#pointLine(line, event),
      pointSinks: (row, event) => this.#pointSinks(row, event),
      leave: (event) => {
        // What other views light up is read as "looks at", whichever column was touched last here.
        this.#side = "query";
        this.#point(null);
        this.#pointLine(null, event);
      },
      pin: (at) => this.#pin(at),
    };
  }

  #key(event: KeyboardEvent): void {
    if (!commonKeys(event, this.#host)) this.#gestures.key(event);
  }

  #point(at: At | null): void {
    const picture = this.#picture;
    if (!picture) return;
    const patch = pointPatch(this.#host.state, picture, at);
    const turned = at !== null && at.side !== this.#side;
    if (at) this.#side = at.side;
    if (Object.keys(patch).length) this.#host.set(patch);
    else if (turned) this.#readFans();
  }

  #pointLine(line: Curve | null, event: MouseEvent): void {
    const { tooltip } = this.#shell;
    const picture = this.#picture;
    this.#stage.point(line);
    if (line === null || !picture?.content) {
      tooltip.hide();
      return;
    }
    const [first, second] = lineWords(picture.axes, picture.content, line);
    tooltip.show(anchorAt(event), [h("b", {}, first), h("div", {}, second)]);
  }

  #pointSinks(row: number | null, event: MouseEvent): void {
    const picture = this.#picture;
    if (row === null || !picture?.content?.sinks.units.length) return;
    this.#stage.point(null);
    const fan = this.#fans.current.find((one) => one.side === "query" && one.unit === row);
    const [first, each] = sinksOfRow(picture.axes, picture.content, row, fan ?? null);
    const rows = each.map((words) => h("div", {}, words));
    this.#shell.tooltip.show(anchorAt(event), [h("b", {}, first), ...rows]);
  }

  #pin(at: At): void {
    const picture = this.#picture;
    if (!picture) return;
    this.#side = at.side;
    this.#host.set(pinPatch(this.#host.state, picture, at));
  }
}

function anchorAt({ clientX: x, clientY: y }: MouseEvent) {
  return { left: x, right: x, top: y - 6, bottom: y + 6 };
}

/** The pinned units that have a fan; of one sequence, whose keys are its queries, each once. */
function pinnedUnits(query: LitUnits, key: LitUnits | null): At[] {
  const of = (side: Side, lit: LitUnits | null): At[] =>
    [...(lit?.selected ?? [])].map((unit) => ({ side, unit }));
  return [...of("query", query), ...of("key", key)];
}
