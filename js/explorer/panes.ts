/** The panes: which are there, where they stand, and who speaks. */

import { type Child, h, hint, watchSize } from "../shared/dom";
import type { Host, PaneWords } from "../shared/host/host";
import { onlyLit } from "../shared/lit";
import type { Wish } from "../shared/save/file";
import { createSchedule, flushAll } from "../shared/schedule";
import { type Column, type Columns, columns, heightOf, TWO_FROM } from "./layout";
import { Pane, paneTools } from "./pane";
import { type ExplorerState, PANE_NAMES, PANES, type PaneName } from "./state";

/** Pixels between two panes, as in the style sheet. */
const GAP = 16;
/** Columns that differ by less end at the same height. */
const EVEN = 6;
/** Milliseconds that panes stay as they are while pictures of another text or unit come. */
const PATIENCE_MS = 1000;
const SIDES: readonly Column[] = ["left", "right"];
/** Panes whose picture is as large as the room that it has. */
const FILLS: readonly PaneName[] = ["matrix", "chart"];
/** Pixels that a large pane has at least. */
const LARGE = 560;

interface Division {
  of: string;
  columns: Columns<PaneName>;
  /** The pane of each column that takes the room that is left. */
  grows: Record<Column, Pane | null>;
  /** All pictures were there. */
  isFinal: boolean;
}

type Draw = (wish: Wish) => Promise<Blob>;

export interface Speaker {
  /** The words of the pane that is used at the moment. */
  setStatus(...words: Child[]): void;
  announce(words: string): void;
}

export class Panes {
  readonly element = h("div", { class: "ex-panes" });
  readonly #host: Host<ExplorerState>;
  readonly #signal: AbortSignal;
  readonly #speaker: Speaker;
  readonly #columns = {
    left: h("div", { class: "ex-column" }),
    right: h("div", { class: "ex-column" }),
  };
  readonly #none = hint("All panes are hidden: choose one above.", "ex-none gh-caption");
  readonly #panes = new Map<PaneName, Pane>();
  readonly #said = new Map<PaneName, Child[]>();
  readonly #schedule;
  /** What draws each pane as a file: a pane that is shown again does so anew. */
  readonly #drawers = new Map<PaneName, Draw>();
  /** The pane under the pointer, or with the focus; else the first. */
  #used: PaneName | null = null;
  /** How panes are divided into columns. */
  #division: Division | null = null;
  /** The column that each pane was in when there were two last. */
  #were: ReadonlyMap<PaneName, Column> = new Map();
  /** The room that panes had when they were measured. */
  #measuredIn = "";
  /** Until then nothing moves that waits for a picture; and the timer of its end. */
  #holdUntil = 0;
  #holding = 0;

  constructor(host: Host<ExplorerState>, signal: AbortSignal, speaker: Speaker) {
    this.#host = host;
    this.#signal = signal;
    this.#speaker = speaker;
    this.#schedule = createSchedule(signal);
    this.element.append(this.#columns.left, this.#columns.right, this.#none);
    watchSize(this.element, () => this.#schedule.request(this.#place), signal);
    signal.addEventListener("abort", () => window.clearTimeout(this.#holding));
  }

  /** The panes that are in view, in their order. */
  get shown(): PaneName[] {
    const { panes, large } = this.#host.state;
    return PANE_NAMES.filter((name) => (large ? name === large : panes.includes(name)));
  }

  update(changed: Partial<ExplorerState>): void {
    const shown = this.shown;
    this.#none.hidden = shown.length > 0;
    const exchanged = "large" in changed || "panes" in changed || this.#panes.size === 0;
    const from = exchanged ? this.#focusedPane() : null;
    if (exchanged) this.#exchange(shown);
    if (from) this.#focusAfter(from, shown);
    const isOther = ["prompt", "unit", "kind"].some((name) => name in changed);
    if (isOther) this.#hold();
    if ("prompt" in changed && this.#division) this.#division.isFinal = false;
    for (const pane of this.#panes.values()) pane.update(Object.keys(changed));
    if (!onlyLit(changed)) this.#place();
  }

  destroy(): void {
    for (const pane of this.#panes.values()) pane.destroy();
    this.#panes.clear();
  }

  #focused(): Element | null {
    return (this.element.getRootNode() as Document | ShadowRoot).activeElement ?? null;
  }

  /** The pane that the focus is in. */
  #focusedPane(): PaneName | null {
    const focused = this.#focused();
    const within = (pane: Pane): boolean => pane.element.contains(focused);
    return [...this.#panes.values()].find(within)?.name ?? null;
  }

  /** A button that goes with its pane hands the focus to the pane's other size, or to the next. */
  #focusAfter(from: PaneName, shown: readonly PaneName[]): void {
    if (this.#focusedPane()) return;
    const next = shown.find((name) => PANE_NAMES.indexOf(name) >= PANE_NAMES.indexOf(from));
    const pane = this.#panes.get(next ?? shown.at(-1) ?? from);
    pane?.element.querySelector<HTMLElement>(".ex-pane-tools button")?.focus();
  }

  /** Takes out the panes that are no longer shown, and makes those that are new. */
  #exchange(shown: readonly PaneName[]): void {
    const { large } = this.#host.state;
    for (const [name, pane] of this.#panes) {
      // A pane that changes its size gets other buttons.
      if (shown.includes(name) && !large && pane.element.dataset.large === undefined) continue;
      pane.destroy();
      this.#panes.delete(name);
    }
    for (const name of shown) {
      if (!this.#panes.has(name)) this.#panes.set(name, this.#make(name));
    }
    this.#division = null;
    if (this.#used === null || !shown.includes(this.#used)) this.#use(shown[0] ?? null);
  }

  #make(name: PaneName): Pane {
    const host = this.#host;
    const { large, panes } = host.state;
    const tools = paneTools(PANES[name].title, {
      isLarge: () => large === name,
      hide: () => host.set({ panes: host.state.panes.filter((other) => other !== name) }),
      enlarge: () => host.set({ large: name }),
      putBack: () =>
        host.set({ large: "", panes: panes.includes(name) ? panes : [...panes, name] }),
    });
    const onPicture = (draw: Draw): void => this.#drawBy(name, draw);
    const explorer = Object.create(host, { onPicture: { value: onPicture } });
    const pane = new Pane(name, explorer, this.#wordsOf(name), tools);
    if (large === name) pane.element.dataset.large = "";
    for (const event of ["pointerenter", "focusin"] as const) {
      pane.element.addEventListener(event, () => this.#use(name), { signal: this.#signal });
    }
    this.#columns.left.append(pane.element);
    watchSize(pane.root, () => this.#schedule.request(this.#place), this.#signal);
    return pane;
  }

  #drawBy(name: PaneName, draw: Draw): void {
    if (!this.#drawers.has(name)) {
      this.#host.onPicture?.((wish) => {
        const current = this.#panes.has(name) && this.#drawers.get(name);
        if (current) return current(wish);
        return Promise.reject(new Error(`${PANES[name].title} is hidden: show it first.`));
      }, name);
    }
    this.#drawers.set(name, draw);
  }

  // ── Words ─────────────────────────────────────────────────────────────────────────────────────

  #wordsOf(name: PaneName): PaneWords {
    return {
      setStatus: (...words) => {
        this.#said.set(name, words);
        if (this.#used === name) this.#say();
      },
      announce: (words) => {
        if (this.#used === name) this.#speaker.announce(words);
      },
    };
  }

  #use(name: PaneName | null): void {
    if (this.#used === name) return;
    this.#used = name;
    this.#say();
  }

  #say(): void {
    const name = this.#used;
    const words = (name && this.#said.get(name)?.filter(Boolean)) || [];
    this.#speaker.setStatus(
      name && words.length > 0 && h("b", {}, `${PANES[name].title}: `),
      ...words,
    );
  }

  // ── Places ────────────────────────────────────────────────────────────────────────────────────

  /** Where panes stand and how high they are: measured once, set once, before the page is painted. */
  readonly #place = (): void => {
    const { clientWidth: width } = this.element;
    const panes = this.shown.flatMap((name) => this.#panes.get(name) ?? []);
    if (width === 0 || this.#holds(panes)) return;
    for (const pane of panes) pane.hold(null);
    const two = panes.length > 1 && width >= TWO_FROM;
    this.element.classList.toggle("is-two", two);
    const focused = this.#focused();
    if (!two) this.#fill({ left: panes.map(({ name }) => name), right: [] });
    this.#measure(panes, `${width}:${two}`);
    if (two) this.#even(panes, this.#divide(panes));
    else for (const pane of panes) pane.height = this.#alone(pane);
    // A pane that comes to another column takes the focus with it.
    if (focused instanceof HTMLElement && this.element.contains(focused)) {
      if (this.#focused() !== focused) focused.focus({ preventScroll: true });
    }
    flushAll();
    this.element.classList.add("is-placed");
  };

  /** Whether all stay as high as they are for now, since pictures are on their way. */
  #holds(panes: readonly Pane[]): boolean {
    const left = this.#holdUntil - performance.now();
    const isWaiting = left > 0 && panes.some(({ isDrawn }) => !isDrawn);
    window.clearTimeout(this.#holding);
    this.#holding = isWaiting ? window.setTimeout(this.#place, left) : 0;
    if (!isWaiting) this.#holdUntil = 0;
    return isWaiting;
  }

  /** From now on nothing moves until all pictures are there, or that takes too long. */
  #hold(): void {
    if (!this.element.classList.contains("is-placed")) return;
    this.#holdUntil = performance.now() + PATIENCE_MS;
    for (const pane of this.#panes.values()) pane.hold(pane.element.offsetHeight);
  }

  /** What panes need is seen when they have drawn themselves, and nothing is asked of them. */
  #measure(panes: readonly Pane[], room: string): void {
    const isOther = room !== this.#measuredIn;
    this.#measuredIn = room;
    for (const pane of panes) {
      if (!isOther && !pane.isStale) continue;
      if (pane.height > 0) pane.height = 0;
      else pane.draw();
    }
    flushAll();
    for (const pane of panes) {
      pane.element.style.minHeight = pane.isDrawn ? "" : `${pane.natural}px`;
      if (pane.height > 0 || !pane.isDrawn) continue;
      pane.natural = pane.root.offsetHeight;
      pane.isStale = false;
    }
  }

  /** A large pane fills the window where it makes something of the room. */
  #alone(pane: Pane): number {
    if (this.#host.state.large !== pane.name) return 0;
    const fills = pane.height > 0 || FILLS.includes(pane.name) || scrolls(pane.root);
    if (!fills) return 0;
    return Math.max(LARGE, Math.round(0.8 * window.innerHeight));
  }

  /** Once all panes have their pictures, a division stays until others are shown. */
  #divide(panes: readonly Pane[]): Division {
    const of = panes.map(({ name }) => name).join();
    if (this.#division?.of === of && this.#division.isFinal) return this.#division;
    const found = columns(measured(panes), GAP, this.#were);
    this.#fill(found);
    this.#were = new Map(SIDES.flatMap((side) => found[side].map((name) => [name, side] as const)));
    const grower = (names: readonly PaneName[]): Pane | null =>
      growing(panes.filter(({ name }) => names.includes(name)));
    // Chosen once: a pane that has grown has no more to scroll to.
    const grows = { left: grower(found.left), right: grower(found.right) };
    const isFinal = panes.every(({ isDrawn }) => isDrawn);
    this.#division = { of, columns: found, grows, isFinal };
    return this.#division;
  }

  #fill(found: Columns<PaneName>): void {
    for (const side of SIDES) {
      const elements = found[side].flatMap((name) => this.#panes.get(name)?.element ?? []);
      fillInOrder(this.#columns[side], elements);
    }
  }

  /** The shorter column is made as high as the other. */
  #even(panes: readonly Pane[], { columns: { left, right }, grows }: Division): void {
    const all = measured(panes);
    const lack = heightOf(all, left, GAP) - heightOf(all, right, GAP);
    const short = Math.abs(lack) > EVEN ? grows[lack > 0 ? "right" : "left"] : null;
    for (const pane of panes) {
      const grown = pane === short && pane.isDrawn;
      pane.height = grown ? pane.natural + Math.abs(lack) : 0;
    }
  }
}

function measured(panes: readonly Pane[]) {
  return panes.map(({ name, natural: height }) => ({ name, height }));
}

/** The pane that makes something of more room: a chart does, and what has more to scroll to. */
function growing(panes: readonly Pane[]): Pane | null {
  const chart = panes.find(({ name }) => name === "chart");
  return chart ?? panes.find(({ root }) => scrolls(root)) ?? panes.at(-1) ?? null;
}

function scrolls(root: HTMLElement): boolean {
  const boxes = root.querySelectorAll<HTMLElement>(".al-scroll, .gh-strip-scroller");
  return [...boxes].some(({ scrollHeight, clientHeight }) => scrollHeight > clientHeight + 1);
}

/** Elements that stand where they should are left alone: moved ones lose focus and scrolling. */
function fillInOrder(parent: HTMLElement, elements: readonly HTMLElement[]): void {
  for (const [i, element] of elements.entries()) {
    if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
  }
}
