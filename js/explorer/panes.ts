/** The panes: which are there, where they stand, and who speaks. */

import { type Child, h, watchSize } from "../shared/dom";
import type { Host, PaneWords } from "../shared/host/host";
import type { Wish } from "../shared/save/file";
import { createSchedule } from "../shared/schedule";
import { type Columns, columns, heightOf, inTurn, TWO_FROM } from "./layout";
import { Pane, paneTools } from "./pane";
import { type ExplorerState, PANE_NAMES, PANES, type PaneName } from "./state";

/** Pixels between two panes, as in the style sheet. */
const GAP = 16;
/** Columns that differ by less end at the same height. */
const EVEN = 6;
/** Panes that come in other columns draw themselves anew, once or twice. */
const [LOOKS, LOOK_MS] = [3, 60];
/** Panes whose picture is as large as the room that it has. */
const FILLS: readonly PaneName[] = ["matrix", "chart"];
/** Pixels that a large pane has at least. */
const LARGE = 560;

interface Division {
  of: string;
  columns: Columns<PaneName>;
  /** The pane of each column that takes the room that is left. */
  grows: Record<keyof Columns<PaneName>, Pane | null>;
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
  readonly #panes = new Map<PaneName, Pane>();
  readonly #said = new Map<PaneName, Child[]>();
  readonly #schedule;
  /** What draws each pane as a file: a pane that is shown again does so anew. */
  readonly #drawers = new Map<PaneName, Draw>();
  /** The pane under the pointer, or with the focus; else the first. */
  #used: PaneName | null = null;
  /** How panes are divided into columns, and for which panes and width that was found. */
  #division: Division | null = null;
  /** How high panes were when they were looked at last, and how often they were just so. */
  #looked = { seen: "", times: 0 };

  constructor(host: Host<ExplorerState>, signal: AbortSignal, speaker: Speaker) {
    this.#host = host;
    this.#signal = signal;
    this.#speaker = speaker;
    this.#schedule = createSchedule(signal);
    this.element.append(this.#columns.left, this.#columns.right);
    watchSize(this.element, () => this.#place(), signal);
  }

  /** The panes that are in view, in their order. */
  get shown(): PaneName[] {
    const { panes, large } = this.#host.state;
    return PANE_NAMES.filter((name) => (large ? name === large : panes.includes(name)));
  }

  update(changed: Partial<ExplorerState>): void {
    const shown = this.shown;
    const exchanged = "large" in changed || "panes" in changed || this.#panes.size === 0;
    const from = exchanged ? this.#focusedPane() : null;
    if (exchanged) this.#exchange(shown);
    if (from) this.#focusAfter(from, shown);
    for (const pane of this.#panes.values()) pane.update(Object.keys(changed));
    if ("prompt" in changed) this.#division = null;
    this.#schedule.request(this.#place);
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

  readonly #place = (): void => {
    const { clientWidth: width } = this.element;
    if (width === 0) return;
    const panes = this.shown.flatMap((name) => this.#panes.get(name) ?? []);
    const names = panes.map(({ name }) => name);
    const two = panes.length > 1 && width >= TWO_FROM;
    this.element.classList.toggle("is-two", two);
    for (const pane of panes) if (pane.height === 0) pane.natural = pane.root.offsetHeight;
    const focused = this.#focused();
    const division = two ? this.#divide(panes) : { left: names, right: [] };
    for (const side of ["left", "right"] as const) {
      const elements = division[side].flatMap((name) => this.#panes.get(name)?.element ?? []);
      fillInOrder(this.#columns[side], elements);
    }
    // A pane that comes to another column takes the focus with it.
    if (focused instanceof HTMLElement && this.element.contains(focused)) {
      if (this.#focused() !== focused) focused.focus({ preventScroll: true });
    }
    if (!two) for (const pane of panes) pane.height = this.#alone(pane);
    else if (this.#division) this.#even(panes, this.#division);
  };

  /** A large pane fills the window where it makes something of the room. */
  #alone(pane: Pane): number {
    if (this.#host.state.large !== pane.name) return 0;
    const fills = pane.height > 0 || FILLS.includes(pane.name) || scrolls(pane.root);
    if (!fills) return 0;
    return Math.max(LARGE, Math.round(0.8 * window.innerHeight));
  }

  /**
   * Once all panes have their pictures, a division stays until other panes are shown. What a pane
   * needs is seen when it has drawn itself as wide as a column, and nothing is asked of it.
   */
  #divide(panes: readonly Pane[]): Columns<PaneName> {
    const of = `${panes.map(({ name }) => name)}:${Math.round(this.element.clientWidth / 80)}`;
    if (this.#division?.of === of) return this.#division.columns;
    this.#division = null;
    const names = panes.map(({ name }) => name);
    for (const pane of panes) pane.height = 0;
    const ready = panes.every(({ root }) => root.dataset.ready === "true");
    const seen = `${of}:${panes.map(({ natural }) => natural)}`;
    const times = ready && seen === this.#looked.seen ? this.#looked.times + 1 : 0;
    this.#looked = { seen, times };
    if (times < LOOKS) {
      if (ready) window.setTimeout(() => this.#schedule.request(this.#place), LOOK_MS);
      return inTurn(names);
    }
    const measured = panes.map(({ name, natural }) => ({ name, height: natural }));
    const found = columns(measured, GAP);
    // Chosen once: a pane that has grown has no more to scroll to.
    const grower = (names: readonly PaneName[]): Pane | null =>
      growing(panes.filter(({ name }) => names.includes(name)));
    this.#division = {
      of,
      columns: found,
      grows: { left: grower(found.left), right: grower(found.right) },
    };
    return found;
  }

  /** The shorter column is made as high as the other. */
  #even(panes: readonly Pane[], { columns: { left, right }, grows }: Division): void {
    const measured = panes.map(({ name, natural }) => ({ name, height: natural }));
    const lack = heightOf(measured, left, GAP) - heightOf(measured, right, GAP);
    const short = Math.abs(lack) > EVEN ? grows[lack > 0 ? "right" : "left"] : null;
    for (const pane of panes) pane.height = pane === short ? pane.natural + Math.abs(lack) : 0;
  }
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
