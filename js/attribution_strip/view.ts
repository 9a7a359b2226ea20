/** AttributionStrip: the text, coloured by how much each token made the model say another. */

import { codePanel } from "../shared/code";
import { fill, h, hide, mark } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { handled, inField } from "../shared/keys";
import { toggled } from "../shared/lit";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import type { Tokens } from "../shared/text";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { createCard } from "./card";
import { createHeader, type Header } from "./controls";
import { type AttributionData, attributionData, type UnitAt } from "./data";
import { listen, type Meanings, type Pointed, textKey } from "./gestures";
import { HELP } from "./help";
import { legendNodes } from "./legend";
import { createMatrixView, type MatrixView } from "./matrix_view";
import { createPicker } from "./question";
import { paints } from "./scale";
import type { AttributionFrame, AttributionState } from "./state";
import { createStrips, type Strips } from "./strips";
import { NO_PREDICTION, ONLY_SAVED, statusWords, targetName, tokenSentence } from "./words";

const NO_TOKENS: Tokens = { count: 0, token: () => undefined };

export class AttributionStripView implements View<AttributionState> {
  static readonly id = "attribution-strip";
  static readonly title = "Attribution";
  static readonly traits = {
    ...TRACE_TRAITS,
    method: true,
    position: true,
    token: true,
    against: true,
    quantity: true,
    baseline: true,
    steps: true,
    targets: true,
    show: true,
  } as const;

  readonly #host: Host<AttributionState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #strips: Strips;
  readonly #card = createCard((at) => this.#pointUnit(at));
  readonly #matrix: MatrixView;
  readonly #main: HTMLElement;
  readonly #nothing = h("p", { class: "as-nothing" });
  readonly #paint;
  readonly #meanings: Meanings;
  #data: AttributionData | null = null;
  /** A token that is pointed at here, which may be one that the traits have no position for. */
  #pointed: Pointed | null = null;
  #refused: { place: number; why: string } | null = null;

  constructor(el: HTMLElement, host: Host<AttributionState>) {
    this.#host = host;
    this.#shell = createShell(el, host, AttributionStripView, {
      help: HELP,
      code: codePanel,
      picture: () => ({ caption: this.#caption() }),
      onTheme: () => this.#data && this.#draw(),
    });
    const { body, root, signal } = this.#shell;
    this.#paint = paints(this.#shell);
    this.#header = createHeader(this.#shell, host);
    const picker = createPicker(host, signal, (by) => this.#step(by));
    this.#strips = createStrips(host, picker, signal);
    this.#meanings = this.#meaning();
    listen(this.#strips.element, this.#meanings, signal);
    this.#main = h("div", { class: "as-main" }, this.#strips.element, this.#card.element);
    this.#matrix = createMatrixView(this.#shell, host, {
      point: (at) => this.#pointUnit(at),
      ask: (position) => this.#askPosition(position),
      select: (at) => this.#chooseUnit(at),
    });
    body.classList.add("as-body");
    body.append(this.#nothing, this.#main, this.#matrix.element);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    host.onStatus(() => this.update({}), signal);
    this.update({});
  }

  update(changed: Partial<AttributionState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    this.#shell.sync(state);
    this.#header.update(state);
    const isNew = hasFrame(state.frame) && state.frame !== this.#data?.frame;
    if (isNew) {
      this.#data = attributionData(state.frame as AttributionFrame);
      if ((this.#pointed?.strip ?? 0) >= this.#data.frame.targets.length) this.#pointed = null;
    }
    const isMatrix = this.#isMatrix;
    hide(this.#main, !this.#data || isMatrix);
    hide(this.#matrix.element, !isMatrix);
    hide(this.#nothing, this.#data !== null);
    if (!this.#data) {
      this.#nothing.textContent = state.busy
        ? "Attribution is being computed; it is on its way."
        : "There is nothing to show yet.";
      this.#shell.drawn(state);
    } else if (any("frame", "theme", "targets", "height")) {
      this.#draw();
      const { current, frame } = this.#data;
      if (isNew && !this.#isMatrix) this.#strips.reveal(frame.current, current.place);
    } else this.#light();
  }

  destroy(): void {
    this.#strips.close();
    this.#shell.destroy();
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  #draw(): void {
    const data = this.#data;
    if (!data) return;
    if (this.#isMatrix) {
      this.#matrix.draw(data, this.#paint);
      const { bound = 0, beyond } = this.#matrix.matrix ?? {};
      fill(this.#shell.legend, ...legendNodes(data, this.#paint(bound), beyond));
    } else {
      const paint = this.#paint(data.frame.bound);
      this.#strips.draw(data, paint);
      fill(this.#shell.legend, ...legendNodes(data, paint));
      // With a fixed height there may be less room than it takes: keys can scroll it.
      mark(this.#card.element, "tabindex", this.#host.state.height > 0 ? "0" : null);
    }
    this.#light();
    this.#shell.drawn({ ...this.#host.state, unit: data.frame.key.unit });
  }

  #light(): void {
    const data = this.#data;
    if (!data) return;
    if (this.#isMatrix) {
      this.#matrix.light();
      const words = this.#matrix.words();
      this.#shell.setStatus(...(words === null ? statusWords(data) : [words]));
      if (words !== null) this.#shell.announce(words);
      return;
    }
    const { state } = this.#host;
    const pointed = this.#near();
    const isAsked = pointed?.where === "asked";
    this.#strips.light({
      hovered: isAsked ? pointed.place : null,
      hoveredSource: pointed && !isAsked ? pointed.place : null,
      selected: state.selected.map(data.placeOf),
      selectedSource: state.selected_source,
    });
    const last = data.texts.length - 1;
    const target = pointed?.strip ?? data.frame.current;
    const at = pointed && { text: isAsked ? last : 0, token: pointed.place };
    const paint = this.#paint(data.frame.bound);
    this.#card.update({ data, paint, target, at });
    if (pointed?.place !== this.#refused?.place) this.#refused = null;
    if (this.#refused) this.#shell.setStatus(this.#refused.why);
    else if (at) this.#shell.setStatus(tokenSentence(data, target, at.text, at.token));
    else this.#shell.setStatus(...statusWords(data));
  }

  /** What is pointed at, here or in a linked view. */
  #near(): Pointed | null {
    const data = this.#data;
    if (!data || this.#pointed) return this.#pointed;
    const { hovered, hovered_source: source } = this.#host.state;
    const strip = data.frame.current;
    if (hovered !== null) return { where: "asked", place: data.placeOf(hovered), strip };
    return source === null ? null : { where: "source", place: source, strip };
  }

  get #isMatrix(): boolean {
    const frame = this.#data?.frame;
    return frame?.key.show === "matrix" && frame.matrix !== null;
  }

  #caption(): string {
    const data = this.#data;
    if (!data) return "";
    if (this.#isMatrix) return `Predicted tokens by tokens that were read: ${data.frame.how}`;
    const names = data.frame.targets.map(targetName).join(", ");
    return `Why ${names}: ${data.frame.how}`;
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  #meaning(): Meanings {
    const view = this;
    return {
      get at() {
        return view.#near();
      },
      get strip() {
        return view.#data?.frame.current ?? 0;
      },
      tokens: () => this.#tokens(),
      point: (at, how) => this.#point(at, how),
      choose: (at, keep) => this.#choose(at, keep),
    };
  }

  /** Those of the current strip, with the place behind them where that can be asked. */
  #tokens(): Tokens {
    const data = this.#data;
    if (!data) return NO_TOKENS;
    const strip = this.#strips.strip(data.frame.current);
    const n = data.asked.input.texts.length;
    return {
      count: data.canAsk(n) ? n + 1 : n,
      token: (place) => strip?.token(place),
    };
  }

  #point(at: Pointed | null, how: "pointer" | "key"): void {
    const data = this.#data;
    if (!data) return;
    this.#pointed = at;
    const isAsked = at?.where === "asked" && at.place < data.asked.input.texts.length;
    const hovered = isAsked ? data.positionOf(at.place) : null;
    const hovered_source = at?.where === "source" ? at.place : null;
    const { state } = this.#host;
    if (state.hovered === hovered && state.hovered_source === hovered_source) this.#light();
    else this.#host.set({ hovered, hovered_source });
    if (how !== "key" || !at) return;
    this.#strips.reveal(at.strip, at.place);
    this.#shell.announce(tokenSentence(data, at.strip, data.texts.length - 1, at.place));
  }

  /** A bar of the card is pointed at: its token. */
  #pointUnit(at: UnitAt | null): void {
    const data = this.#data;
    const token = at && data?.texts[at.text]?.tokensOf(at.unit)[0];
    if (!data || !at || token === undefined || token === null) {
      this.#point(null, "pointer");
      return;
    }
    const where = at.text === data.texts.length - 1 ? "asked" : "source";
    const strip = this.#pointed?.strip ?? data.frame.current;
    this.#point({ where, place: token, strip }, "pointer");
  }

  #choose({ where, place }: Pointed, keep: boolean): void {
    const data = this.#data;
    if (!data) return;
    const { state } = this.#host;
    if (where === "source") {
      this.#host.set({ selected_source: toggled(state.selected_source, place) });
      return;
    }
    const position = data.positionOf(place);
    if (position === null || !data.canAsk(place)) {
      this.#refuse(place, NO_PREDICTION);
      return;
    }
    const isKept = keep && this.#host.can?.("attribution") !== false;
    if (isKept) this.#host.set({ targets: toggled(state.targets, position) });
    else this.#ask(data, place, position);
  }

  /** Says why a token cannot be asked, until another one is pointed at. */
  #refuse(place: number, why: string): void {
    this.#refused = { place, why };
    this.#pointed ??= { where: "asked", place, strip: this.#data?.frame.current ?? 0 };
    this.#light();
    this.#shell.announce(why);
  }

  #askPosition(position: number): void {
    const data = this.#data;
    if (data) this.#ask(data, data.placeOf(position), position);
  }

  #chooseUnit({ text, unit }: UnitAt): void {
    const data = this.#data;
    const place = data?.texts[text]?.tokensOf(unit)[0];
    if (!data || place === undefined) return;
    const where = text === data.texts.length - 1 ? "asked" : "source";
    this.#choose({ where, place, strip: data.frame.current }, false);
  }

  /** The token is pinned as well: linked views show where the model looked from there. */
  #ask(data: AttributionData, place: number, position: number): void {
    if (this.#host.can?.("target") === false) {
      this.#refuse(place, ONLY_SAVED);
      return;
    }
    const isThere = place < data.asked.input.texts.length || data.frame.offset < 0;
    const selected = isThere ? [position] : [];
    this.#host.set({ position, token: null, against: null, selected });
  }

  /** The token before the current target, or behind it. */
  #step(by: 1 | -1): void {
    const data = this.#data;
    if (!data) return;
    const { position: asked } = this.#host.state;
    const place = (asked === null ? data.current.place : data.placeOf(asked)) + by;
    const position = data.positionOf(place);
    if (position === null || !data.canAsk(place)) return;
    this.#pointed = null;
    this.#ask(data, place, position);
    this.#strips.reveal(data.frame.current, place);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event)) return;
    if (event.target === this.#strips.element && textKey(event, this.#meanings)) return;
    if (event.key === "[" || event.key === "]") {
      handled(event);
      this.#step(event.key === "]" ? 1 : -1);
    } else if (event.key === "Escape") {
      handled(event);
      this.#pointed = null;
      this.#matrix.letGo();
      const none = { hovered: null, hovered_source: null };
      this.#host.set({ ...none, selected: [], selected_source: [] });
      this.#light();
    } else if (event.target === this.#shell.root && this.#isMatrix) {
      this.#matrix.gestures.key(event);
    }
  }
}
