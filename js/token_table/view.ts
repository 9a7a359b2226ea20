/** TokenTable: the text in its tokens, and a row for each. */

import { type Child, fill, h, hint } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { formatCount } from "../shared/numbers";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { scrollTo } from "../shared/text";
import type { View } from "../shared/view";
import { type Chips, chips, comparedChips } from "./chips";
import { LOOKS, type Look, readSplit, type Split } from "./data";
import { listen } from "./gestures";
import { HELP } from "./help";
import { createRows, type Rows } from "./rows";
import type { TableState } from "./state";
import { comparison, summary, tokenWords } from "./words";

const HINT = "Point at a token or a row to see what it is; a click pins it.";

const NO_TOKENS = { count: 0, token: () => undefined };

export class TokenTableView implements View<TableState> {
  static readonly id = "token-table";
  static readonly title = "Token table";
  static readonly traits = { hovered: true, selected: true } as const;

  readonly #host: Host<TableState>;
  readonly #shell: Shell;
  readonly #summary = h("p", { class: "tt-summary" });
  readonly #texts = h("div", { class: "tt-text", attrs: { role: "group", tabindex: 0 } });
  readonly #rows: Rows;
  #split: Split | null = null;
  #other: Split | null = null;
  #chips: Chips | null = null;
  #pointedOther: number | null = null;

  constructor(el: HTMLElement, host: Host<TableState>) {
    this.#host = host;
    this.#shell = createShell(el, host, TokenTableView, { help: HELP, onTheme: () => {} });
    this.#rows = createRows(this.#shell.signal);
    this.#shell.body.append(
      h("div", { class: "tt" }, this.#summary, this.#texts, this.#rows.element),
    );
    listen(this.#shell, host, {
      texts: this.#texts,
      table: this.#rows.element,
      tokens: () => this.#chips ?? NO_TOKENS,
      onOther: (position) => this.#pointOther(position),
    });
    this.#drawAll();
  }

  update(changed: Partial<TableState>): void {
    if ("frame" in changed) {
      this.#drawAll();
      return;
    }
    this.#shell.sync(this.#host.state);
    if ("hovered" in changed || "selected" in changed) {
      this.#mark();
      this.#reveal();
    }
  }

  destroy(): void {
    this.#chips?.close();
    this.#shell.destroy();
  }

  #drawAll(): void {
    const { state } = this.#host;
    this.#shell.sync(state);
    const { frame } = state;
    if (!hasFrame(frame)) return;
    const split = readSplit(frame, frame.kind_names);
    const other = frame.other && readSplit(frame.other, frame.kind_names);
    [this.#split, this.#other] = [split, other];
    this.#chips?.close();
    this.#chips = other ? comparedChips(split, other) : chips(split, this.#texts);
    fill(this.#texts, this.#chips.element);
    this.#texts.setAttribute("aria-label", `Text of ${formatCount(split.n)} tokens`);
    fill(this.#summary, ...summary(split), ...(other ? [" ", ...comparison(split, other)] : []));
    const cut = h("span", { class: "tt-key" }, h("span", { class: "tt-cut" }), "cut differently");
    fill(this.#shell.legend, ...legend(other ? [split, other] : [split]), other && cut);
    this.#rows.fill(split);
    this.#mark();
    this.#reveal();
    this.#shell.drawn();
  }

  /** Hovered and pinned tokens, in the text, in the table and in words. */
  #mark(): void {
    const split = this.#split;
    if (!split) return;
    const { hovered, selected } = this.#host.state;
    this.#chips?.mark("is-hovered", hovered === null ? [] : [hovered]);
    this.#chips?.mark("is-selected", selected);
    this.#rows.mark(hovered, selected);
    const position = hovered ?? selected.at(-1);
    const words = position === undefined ? "" : tokenWords(split, position);
    this.#shell.setStatus(words || hint(HINT));
    if (words) this.#shell.announce(words);
  }

  /** Scrolls text and table to the token, but not the one that the pointer is in. */
  #reveal(): void {
    const { hovered, selected } = this.#host.state;
    const position = hovered ?? selected.at(-1);
    if (position === undefined) return;
    if (!this.#rows.element.matches(":hover")) this.#rows.reveal(position);
    if (!this.#texts.matches(":hover")) scrollTo(this.#texts, this.#chips?.token(position));
  }

  /** A token of the other tokenizer has no row: it is said in words. */
  #pointOther(position: number | null): void {
    if (position === this.#pointedOther) return;
    this.#pointedOther = position;
    this.#chips?.markOther("is-hovered", position === null ? [] : [position]);
    if (position === null || !this.#other) this.#mark();
    else this.#shell.setStatus(`${this.#other.frame.name}: ${tokenWords(this.#other, position)}`);
  }
}

/** What the colours stand for, with how many tokens have each. */
function legend(splits: readonly Split[]): Child[] {
  return (Object.keys(LOOKS) as Look[]).flatMap((look) => {
    const counts = splits.map((split) => split.count(look));
    if (counts.every((count) => count === 0)) return [];
    const words = `${counts.map(formatCount).join(" / ")} ${LOOKS[look][counts.every((n) => n === 1) ? 0 : 1]}`;
    return [
      h("span", { class: "tt-key" }, h("span", { class: `tt-chip tt-sample is-${look}` }), words),
    ];
  });
}
