/** AttentionLines: two columns of tokens and, between them, a line for each attention weight. */

import { h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import type { Side } from "../shared/map/axis";
import { type At, type LitUnits, litUnits, pinPatch, pointPatch } from "../shared/map/pin";
import { percent } from "../shared/numbers";
import { createShell, type Shell } from "../shared/shell";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import type { LitColumn } from "./columns";
import { createHeader, type Header } from "./controls";
import { createFans, type Fans, quietUnits } from "./fans";
import { type Actions, createGestures, type Gestures } from "./gestures";
import { HELP } from "./help";
import { effectiveThreshold, type Shown } from "./lines";
import { type LinesPicture, linesPicture, shownLines } from "./picture";
import { type Drawing, Stage } from "./stage";
import type { LinesState } from "./state";
import { fanSentence, linesSentence, lineWords } from "./words";

export class AttentionLinesView implements View<LinesState> {
  static readonly id = "attention-lines";
  static readonly title = "Attention lines";
  static readonly traits = { ...TRACE_TRAITS, threshold: true } as const;

  readonly #host: Host<LinesState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #stage: Stage;
  readonly #fans: Fans;
  readonly #gestures: Gestures;
  #picture: LinesPicture | null = null;
  #shown: Shown | null = null;
  /** The side the pointer or the arrow keys were on last: decides the fan of a hovered token. */
  #side: Side = "query";

  constructor(el: HTMLElement, host: Host<LinesState>) {
    this.#host = host;
    this.#shell = createShell(el, host, AttentionLinesView, {
      help: HELP,
      onTheme: () => this.#restyle(),
    });
    const { body, root, signal } = this.#shell;
    this.#header = createHeader(this.#shell, host);
    this.#stage = new Stage(this.#shell, () => this.#drawing());
    this.#fans = createFans(host, signal, () => this.#showFans());
    this.#gestures = createGestures(this.#shell, this.#stage, this.#actions());
    body.append(this.#header.filters, ...this.#stage.elements);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.update({});
  }

  update(changed: Partial<LinesState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    this.#shell.sync(state);
    if (any("axes", "frame")) this.#readPicture();
    if (any("axes", "frame", "heads", "threshold")) this.#selectLines();
    this.#header.update(state, this.#shell.theme, this.#shown);
    if (any("axes", "frame", "heads", "threshold", "height", "layer")) this.#stage.draw();
    this.#readFans();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  #restyle(): void {
    if (!this.#header) return;
    this.#header.update(this.#host.state, this.#shell.theme, this.#shown);
    this.#stage.draw();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #drawing(): Drawing {
    const picture = this.#picture;
    const shown = this.#shown;
    const { heads, height } = this.#host.state;
    return { picture, shown, fans: this.#fans.current, heads, height };
  }

  #readPicture(): void {
    this.#picture = linesPicture(this.#host.state, this.#picture);
    if (this.#picture) this.#stage.fill(this.#picture);
  }

  #selectLines(): void {
    this.#shown = shownLines(this.#host.state, this.#picture?.content ?? null);
    this.#stage.point(null);
    this.#shell.root.dataset.lines = String(this.#shown?.indices.length ?? 0);
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
    this.#fans.want(hovered === null ? pinned : [{ side, unit: hovered }], picture);
    this.#showFans();
  }

  #lit(picture: LinesPicture, side: Side): LitUnits {
    return litUnits(this.#host.state, picture[side]);
  }

  #showFans(): void {
    const picture = this.#picture;
    const fans = this.#fans.current;
    if (!picture) return;
    this.#stage.light((side): LitColumn => {
      return { ...this.#lit(picture, side), quiet: quietUnits(fans, side) };
    });
    this.#shell.root.classList.toggle("has-fan", fans.length > 0);
    this.#header.setScale(fans);
    this.#showWords(picture);
  }

  #showWords({ axes, content: lines }: LinesPicture): void {
    const shell = this.#shell;
    const shown = this.#shown;
    if (!lines || !shown) {
      shell.setStatus("");
      return;
    }
    const fan = this.#fans.current.at(-1);
    const threshold = effectiveThreshold(lines, this.#host.state.threshold);
    const sentence = fan ? fanSentence(axes, fan, lines) : linesSentence(lines, shown, threshold);
    shell.setStatus(sentence);
    if (fan) shell.announce(`layer ${lines.frame.key.layer}: ${sentence}`);
    else shell.announce(`${percent(shown.mass)} of the attention mass shown`);
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
        return { side, unit: this.#lit(picture, side).hovered, length };
      },
      point: (at) => this.#point(at),
      pointLine: (line, event) => this.#pointLine(line, event),
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

  #pointLine(line: number | null, { clientX: x, clientY: y }: MouseEvent): void {
    const { tooltip } = this.#shell;
    const picture = this.#picture;
    this.#stage.point(line);
    if (line === null || !picture?.content) {
      tooltip.hide();
      return;
    }
    const [first, second] = lineWords(picture.axes, picture.content, line);
    const anchor = { left: x, right: x, top: y - 6, bottom: y + 6 };
    tooltip.show(anchor, [h("b", {}, first), h("div", {}, second)]);
  }

  #pin(at: At): void {
    const picture = this.#picture;
    if (!picture) return;
    this.#side = at.side;
    this.#host.set(pinPatch(this.#host.state, picture, at));
  }
}

/** The pinned units that have a fan; of one sequence, whose keys are its queries, each once. */
function pinnedUnits(query: LitUnits, key: LitUnits | null): At[] {
  const of = (side: Side, lit: LitUnits | null): At[] =>
    [...(lit?.selected ?? [])].map((unit) => ({ side, unit }));
  return [...of("query", query), ...of("key", key)];
}
